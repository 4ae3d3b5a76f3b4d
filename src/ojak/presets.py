"""Settings by the size of the corpus, so that a file of pairs is enough to train on.

Small corpora are said to want narrow models, small vocabularies, strong dropout and small batches (Sennrich and Zhang
2019). Of these strong dropout gained, where training was long enough for it; what the others did, some of it a loss, is
measured by benchmarks/small.py and benchmarks/presets.py. A preset is laid under the user's own settings: whatever the
user names wins.
"""

from __future__ import annotations

from typing import Any

FINE_TUNING: dict[str, Any] = {"learning_rate": 2e-4, "warmup": 200}
"""for a run that starts from a model: small steps, so that it keeps what it knows"""


def preset(pairs: int, architecture: str = "transformer") -> dict[str, Any]:
    """The nested settings for a corpus of so many pairs."""
    # A pass over few pairs takes few updates: patience that counted passes would end a training that still gets better.
    if pairs < 10_000:
        text = {"size": 4000}
        rate = 2e-3 if architecture == "transformer" else 1e-3
        train = {"batch_tokens": 1024, "warmup": 400, "updates": 10_000, "learning_rate": rate, "validate_every": 200}
        transformer = {"width": 128, "feed_forward": 512, "heads": 4, "dropout": 0.3}
        recurrent = {"embedding": 128, "width": 256, "dropout": 0.4}
    elif pairs < 100_000:
        text = {"size": 8000}
        train = {"batch_tokens": 4096, "warmup": 1000, "updates": 20_000, "learning_rate": 2e-3, "validate_every": 500}
        transformer = {"width": 256, "feed_forward": 1024, "heads": 4, "dropout": 0.3}
        recurrent = {"embedding": 256, "width": 512, "dropout": 0.3}
    else:
        text = {"size": 16000}
        train = {"batch_tokens": 8192, "warmup": 2000, "updates": 100_000, "learning_rate": 1e-3}
        transformer = {"encoder_layers": 6, "decoder_layers": 6, "width": 512, "feed_forward": 2048, "heads": 8}
        recurrent = {"embedding": 512, "width": 1024, "layers": 2, "dropout": 0.2}
    model: dict[str, Any] = transformer if architecture == "transformer" else recurrent
    return {"text": text, "train": train, "model": {"architecture": architecture, **model}}
