#!/usr/bin/env bash
# Everything that a GPU is wanted for, in one call: each step with its own limit, each result in $OUT at once.
#
# Lay it out with benchmarks/gpu/prepare, take .whl/, .data/ and .gpu/ along, and from the root of the checkout there:
#   bash .gpu/measure.sh        (560 s at most)
# LIMIT: seconds for all of it. DRY=1: the same commands, tiny, on the CPU. ONLY="steps run": these steps alone.
# DATA: the data set, as sslbench names it.
set -u
here=$(dirname "$(readlink -f "$0")"); began=$SECONDS
OUT=${OUT:-out}; LIMIT=${LIMIT:-540}; DRY=${DRY:-}; ONLY=${ONLY:-}
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
  [ "$left" -gt 8 ] || { report "$name: left out, no time"; return 1; }
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
from importlib.metadata import requires, version
from packaging.requirements import Requirement
needs = [need for need in map(Requirement, requires("sslbench")) if not need.marker]
print(*(f"{need.name} {version(need.name)}{'' if version(need.name) in need.specifier else f' IS NOT {need.specifier}'}" for need in needs), sep=", ")
END
step doctor 60 log.txt python3 -m sslbench doctor

# As the project runs them, warnings being errors; then what failed once more, with warnings allowed.
gpu=$(grep -rl --include='*.py' 'mark\.gpu' tests)
step tests 100 tests.txt python3 -m pytest -m gpu --tb=short -rfE --durations=8 -o cache_dir="$work/pytest" $gpu ||
  step again 40 tests.txt python3 -m pytest -m gpu --tb=line --last-failed -W default -o cache_dir="$work/pytest" $gpu
show tests.txt 15
if [ -z "$DRY" ]; then
  suite=(-m mae:decoder_depth=8 -b vit:size=base -b vit:size=large -k random:ratio=0.75 --batch-size 64,256 --steps 20 --seconds 75)
  graphs=(--compile 'eager,compile,cuda-graphs' --batch-size 512 --steps 60 --seconds 45)
  pipeline=(--image-size 32 --batch-size 512 --steps 200 --seconds 20)
else
  mae=mae:decoder_depth=1,decoder_dim=32,decoder_heads=2 vit=vit-tiny-small-image:dim=24,depth=1,heads=2
  suite=(-m $mae -b $vit -k random:ratio=0.75 --image-size 32 --batch-size 4 --steps 10 --seconds 60)
  graphs=(--compile eager --batch-size 8 --steps 10 --seconds 60)
  pipeline=(--image-size 8 --batch-size 4 --steps 10 --seconds 120)
fi
step mae 110 mae.json python3 -m sslbench speed "${suite[@]}" --device $device --format json --out "$work/mae"
sslbench results "$work/mae" 2>/dev/null | cut -c1-200 | tail -n 14

step steps 90 steps.jsonl python3 "$here/steps.py" steps $dry
step pipeline 60 pipeline.json python3 -m sslbench speed -d "$DATA" -m simclr:preset=cifar -a simclr:preset=cifar -b $net \
  "${pipeline[@]}" --device $device --format json --out "$work/pipeline"
step lightly 50 steps.jsonl python3 "$here/steps.py" lightly $dry
show steps.jsonl 8
# torch.compile and CUDA graphs beside eager, on a network that compiles soon.
step graphs 90 graphs.json python3 -m sslbench speed -m simclr -b convnet-small --image-size 32 "${graphs[@]}" \
  --baseline compile=eager --device $device --format json --out "$work/graphs"
sslbench results "$work/graphs" 2>/dev/null | cut -c1-200 | tail -n 12
# As many epochs as fit; 40 s for reading and evaluating, a fifth for the curve.
rate=$(python3 -c "
import json
rows = [row['speed']['end_to_end'] for row in json.load(open('$OUT/pipeline.json'))['records']]
print(int(rows[0]['images_per_second']))" 2>>"$OUT/log.txt"); rate=${rate:-0}
for_run=$((LIMIT - SECONDS + began - 75)); [ $for_run -lt 180 ] || for_run=180
epochs=$(((for_run - 40) * rate / 50000 * 8 / 10)); [ $epochs -ge 4 ] || epochs=4
images=50000 batch=512; [ -z "$DRY" ] || { epochs=2; images=64; batch=8; for_run=60; }
report "run: $epochs epochs at $rate images/s"
step run $((for_run < 30 ? 30 : for_run)) run.json python3 -m sslbench run -d "$DATA" -m simclr -b $net -e knn:preset=k200 \
  -e linear-probe --set preset=cifar --set train_images=$images --epochs $epochs --batch-size $batch \
  --set curve_every=$(((epochs + 5) / 6)) --set curve=knn:preset=k200 --device $device --format json \
  --out "$work/run"
sslbench results "$work/run" 2>/dev/null | cut -c1-200 | tail -n 12

step evaluators 45 steps.jsonl python3 "$here/evaluators.py" $dry
step profile 60 profile.txt python3 "$here/profile_step.py" $dry
show profile.txt 45
show steps.jsonl 18
report "end"
