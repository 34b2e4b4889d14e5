#!/usr/bin/env bash
# Everything that a GPU is wanted for, in one call: each step with its own limit, each result in $OUT at once.
#
# Lay it out with benchmarks/gpu/prepare, take .whl/, .data/ and .gpu/ along, and from the root of the checkout there:
#   bash .gpu/measure.sh        (560 s at most)
# LIMIT: seconds for all of it. DRY=1: the same commands, tiny, on the CPU. ONLY="steps run": these steps alone.
# DATA: the data set, as sslbench names it. HOW: options of the long trainings, such as "--compile --cuda-graphs".
# What must be seen first comes first; what there was no time for is named at the end, for another call with ONLY.
# The long trainings, simclr200 and moco200, are done in calls of their own: ONLY=simclr200 bash .gpu/measure.sh
set -u
here=$(dirname "$(readlink -f "$0")"); began=$SECONDS
OUT=${OUT:-out}; LIMIT=${LIMIT:-540}; DRY=${DRY:-}; ONLY=${ONLY:-} HOW=${HOW:-}
left_out=
mkdir -p "$OUT"; OUT=$(readlink -f "$OUT"); work=$(mktemp -d); site=$work/site
trap 'rm -rf "$work"' EXIT
export PYTHONUNBUFFERED=1 XDG_CACHE_HOME=$work/cache NO_COLOR=1 COLUMNS=160
device=cuda net=resnet18-cifar dry=
export DATA=${DATA:-parquet:path=.data/cifar10}
if [ -n "$DRY" ]; then
  device=cpu net=convnet-small dry=--dry
  export CUDA_VISIBLE_DEVICES= DATA=digits
fi
report() { echo "== $((SECONDS - began)) s: $*" | tee -a "$OUT/log.txt"; }

# step NAME LIMIT FILE COMMAND...: stdout is added to FILE, stderr to log.txt; whatever goes wrong, the next one follows.
step() {
  local name=$1 most=$2 file=$OUT/$3 left=$((LIMIT - SECONDS + began)) start=$SECONDS; shift 3
  case " ${ONLY:-$name} " in *" $name "*) ;; *) return 0 ;; esac
  [ "$left" -gt 8 ] || { left_out="$left_out $name"; return 0; }
  [ -z "$DRY" ] || most=$((4 * most))
  timeout -s INT -k 8 $((most < left ? most : left)) "$@" >>"$file" 2>>"$OUT/log.txt"
  local rc=$?
  report "$name: exit $rc after $((SECONDS - start)) s, $(wc -l <"$file") lines in ${file##*/}"
  return $rc
}
show() { [ ! -s "$OUT/$1" ] || tail -n "$2" "$OUT/$1" | cut -c1-400; }
sslbench() { python3 -m sslbench "$@"; }

if compgen -G '.whl/*.whl' >/dev/null; then
  timeout 90 python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" .whl/*.whl 2>>"$OUT/log.txt"
  report "wheels: exit $?; $(python3 --version)"
  export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH} PATH=$site/bin:$PATH
fi
python3 - <<'END' 2>&1 | tee -a "$OUT/log.txt"
from importlib.metadata import PackageNotFoundError, requires, version
from packaging.requirements import Requirement

def found(need):
    try:
        there = version(need.name)
    except PackageNotFoundError:
        return f"{need.name} IS NOT THERE"
    return f"{need.name} {there}{'' if there in need.specifier else f' IS NOT {need.specifier}'}"

print(*(found(need) for need in map(Requirement, requires("sslbench")) if not need.marker), sep=", ")
END
step doctor 60 log.txt python3 -m sslbench doctor

# As the project runs them, warnings being errors; then what failed once more, alone and with warnings allowed.
gpu="tests/gpu $(grep -rl --include='test_*.py' 'mark\.gpu' tests | grep -v '^tests/gpu/')"
python3 -c 'import xdist' 2>/dev/null && workers='-n 6' || workers=
step tests 100 tests.txt python3 -m pytest -m gpu $workers --tb=short -rfE --durations=8 -o cache_dir="$work/pytest" \
  --deselect tests/gpu/test_pretended.py $gpu ||
  step again 40 tests.txt python3 -m pytest -m gpu --tb=line --last-failed -W default -o cache_dir="$work/pytest" $gpu
show tests.txt 15
mae=mae:decoder_depth=8 shallow=mae:decoder_depth=1 large=vit:size=large huge=vit:size=huge
if [ -z "$DRY" ]; then
  simclr=(--image-size 32 --batch-size 512 --steps 200 --seconds 90 --compile eager,compile,cuda-graphs,compile+cuda-graphs)
  masked=(--steps 20 --seconds 70) many=256 few=128 modes=eager,compile
else
  tiny=decoder_dim=32,decoder_heads=2 large=vit-tiny-small-image:dim=24,depth=1,heads=2
  mae=mae:decoder_depth=2,$tiny shallow=mae:decoder_depth=1,$tiny huge=$large
  simclr=(--image-size 8 --batch-size 4 --steps 10 --seconds 120)
  masked=(--image-size 32 --steps 10 --seconds 60) many=4 few=2 modes=eager
fi
# measure NAME LIMIT ARGUMENTS...: of sslbench speed, into NAME.json, and its table.
measure() {
  local name=$1 most=$2; shift 2
  step "$name" "$most" "$name.json" python3 -m sslbench speed "$@" --device $device --format json --out "$work/$name"
  sslbench results "$work/$name" 2>/dev/null | cut -c1-200 | tail -n 14
}
# Steps and end to end, with views: eager, compiled, as CUDA graphs.
measure simclr 110 -d "$DATA" -m simclr:preset=cifar -a simclr:preset=cifar -b $net "${simclr[@]}" --baseline compile=eager
step views 60 steps.jsonl python3 "$here/views.py" $dry
# Both decoders beside encoders that see all, like for like and as in the paper's table.
measure mae 90 -m $mae -m $shallow -b $large -k random:ratio=0.75 --batch-size $many "${masked[@]}"
step evaluators 30 steps.jsonl python3 "$here/evaluators.py" $dry
step steps 70 steps.jsonl python3 "$here/steps.py" steps $dry
step checkpoints 100 steps.jsonl python3 "$here/trainings.py" checkpoints $dry
step feeding 60 steps.jsonl python3 "$here/trainings.py" feeding $dry
step lightly 45 steps.jsonl python3 "$here/steps.py" lightly $dry
show steps.jsonl 40
measure huge 90 -m $mae -m $shallow -b $huge -k random:ratio=0.75 --batch-size $few "${masked[@]}"
measure compiled-mae 90 -m $mae -b $large -k random:ratio=0.75 --batch-size $many "${masked[@]}" --compile $modes \
  --baseline compile=eager
step profile 45 profile.txt python3 "$here/profile_step.py" $dry
show profile.txt 45
step compiled 150 steps.jsonl python3 "$here/steps.py" compiled $dry
step pretended 120 tests.txt python3 -m pytest -m gpu --tb=short -o cache_dir="$work/pytest" tests/gpu/test_pretended.py

# long NAME LIMIT METHOD AUGMENTATION: a training with a curve, alone and only if it is asked for.
long() {
  case " $ONLY " in *" $1 "*) ;; *) return 0 ;; esac
  step "$1" "$2" run.json python3 -m sslbench run -d "$DATA" -m "$3:preset=cifar" -a "$4:preset=cifar" -b $net \
    -e knn:preset=k200 --set preset=cifar --set curve=knn:preset=k200 "${schedule[@]}" $HOW --device $device \
    --format json --out "$work/$1"
  sslbench results "$work/$1" --details 2>/dev/null | cut -c1-200 | tail -n 30
}
schedule=(--epochs 200 --batch-size 512 --set curve_every=25)
[ -z "$DRY" ] || schedule=(--epochs 2 --batch-size 16 --set curve_every=1 --set train_images=64)
long simclr200 540 simclr simclr
long moco200 540 moco moco-v2
[ -z "$left_out" ] || report "no time was left for: ONLY=\"${left_out# }\""
report "end"
