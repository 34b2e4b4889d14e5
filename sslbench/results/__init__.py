"""From Python: ``run``, ``load`` and the ``Results`` that both return."""
