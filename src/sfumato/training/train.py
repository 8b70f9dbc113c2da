"""Training in memory, as ``sfumato.train``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import NoneType

from sfumato.capture.dataset import Capture
from sfumato.checks import check_type
from sfumato.ops.backend import device_named
from sfumato.scene.gaussians import Gaussians
from sfumato.training import loop
from sfumato.training.config import TrainConfig
from sfumato.training.loop import Callback
from sfumato.training.loss import Loss
from sfumato.training.part import Part
from sfumato.training.plan import make_plan, with_budget
from sfumato.training.state import TrainState, start
from sfumato.training.warm_up import warm_up


def train(
    capture: Capture,
    config: TrainConfig | None = None,
    *,
    init: Gaussians | None = None,
    callbacks: Sequence[Callback] = (),
    parts: Iterable[Part] = (),
    loss: Loss | None = None,
    device: str = "auto",
) -> TrainState:
    """Train a scene in memory; nothing is written.

    Args:
        capture: photographs with cameras, from ``load_capture``.
        config: options of training; by default for a few minutes.
        init: a scene to start from instead of the capture's points.
        callbacks: called after each step with the state and its report; they must not change it.
        parts: additional parts of each step, such as densifiers, priors or corrections. One with the name of
            a standard part replaces it.
        loss: function of a render [h, w, 3] and a ``Target`` that returns a loss []; replaces the photometric
            one.
        device: as in ``torch.device``; "auto" is the CPU for now.

    Returns:
        The state after the last step; its ``gaussians`` are the scene.

    Raises:
        ConfigError: an option is out of range, an argument of another type, memory too short, or the device
            not available.
    """
    check_type("capture", capture, Capture)
    check_type("config", config, TrainConfig, NoneType)
    check_type("init", init, Gaussians, NoneType)
    config = with_budget(config or TrainConfig())
    capture.require_pixels()
    on = device_named(device)
    plan = make_plan(capture, config, start_count=len(capture.points if init is None else init))
    warm_up(config, (view.camera for view in capture.views), on)
    state = start(capture, config, cap=plan.cap, init=init, parts=parts, loss=loss, device=on)
    return loop.train(capture, state, callbacks)
