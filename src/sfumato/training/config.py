"""Every option of a training run: one frozen record, one default each, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from sfumato.choices import check_choices
from sfumato.errors import ConfigError

# Fields of ``Gaussians``, named here so that options are read without torch.
FieldName = Literal["means", "log_scales", "quats", "logit_opacities", "sh"]
# A year.
MOST_MINUTES = 525_600


@dataclass(frozen=True)
class Rates:
    """Learning rates of Adam.

    Attributes:
        means_start: of the means at the start, times how far the scene is from the cameras.
        means_end: the same at the end; in between it falls log-linearly.
        log_scales: of the log scales.
        quats: of the quaternions.
        logit_opacities: of the logit opacities.
        sh_base: of the constant SH coefficients.
        sh_rest: of all other SH coefficients.
        exposure: of the exposure of each photograph.
        pose_rotations: of the corrections of poses, radians.
        pose_translations: the same, times how far the scene is from the cameras.
        cool_from: share of the run from where every rate but that of the means falls.
        end_factor: share of itself to which it falls, log-linearly, at the end.
    """

    means_start: float = 4e-4
    means_end: float = 4e-6
    log_scales: float = 1e-2
    quats: float = 2e-3
    logit_opacities: float = 5e-2
    sh_base: float = 5e-3
    sh_rest: float = 1.5e-3
    exposure: float = 1e-3
    pose_rotations: float = 5e-4
    pose_translations: float = 6e-4
    cool_from: float = 0.6
    end_factor: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.cool_from < 1:
            raise ConfigError(f"rates.cool_from is {self.cool_from}; give a number from 0 to less than 1")
        for name, rate in vars(self).items():
            if name != "cool_from" and not (rate >= 0 and isfinite(rate)):
                raise ConfigError(f"rates.{name} is {rate}; give a number of at least 0")
        if self.means_start == 0 or self.means_end == 0 or self.end_factor == 0:
            raise ConfigError(
                "rates.means_start, means_end and end_factor fall log-linearly: give more than 0"
            )


@dataclass(frozen=True)
class Schedule:
    """What changes over a run, as shares of its whole from 0 to 1.

    Attributes:
        half_resolution_until: pictures are halved in size until here.
        quarter_resolution_until: and quartered until here.
        sh_raises: where the SH degree rises to 1, 2 and 3.
        refine_from: first growth of the number of Gaussians.
        refine_until: last growth.
        refine_every: steps between two refinements.
        poses_from: poses are corrected from here, where the scene has its rough shape.
        settle_from: from here no Gaussian is added, removed or moved by hand, and the scene is the
            mean of those since; 1: never.
    """

    half_resolution_until: float = 0.4
    quarter_resolution_until: float = 0.12
    sh_raises: tuple[float, float, float] = (0.2, 0.35, 0.5)
    refine_from: float = 0.02
    refine_until: float = 0.7
    refine_every: int = 100
    poses_from: float = 0.3
    settle_from: float = 0.85

    def __post_init__(self) -> None:
        if not 0 <= self.refine_from < self.refine_until <= 1:
            raise ConfigError(
                f"schedule.refine_from is {self.refine_from} and refine_until {self.refine_until}; "
                "give two shares of the run, the first smaller"
            )
        for name in ("poses_from", "settle_from"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"schedule.{name} is {getattr(self, name)}; give a share of the run")
        if self.refine_every < 1:
            raise ConfigError(f"schedule.refine_every is {self.refine_every}; give at least 1")


@dataclass(frozen=True)
class AdcConfig:
    """Adaptive density control: clone and split where the image gradient is large, prune the rest.

    Attributes:
        absolute_gradient: sum the absolute gradient over pixels, so that opposed pulls do not cancel.
        threshold: mean gradient of the ellipse centre, in halves of the image, above which a
            Gaussian is a candidate; the strongest are taken first.
        split_scale: candidates larger than this times the distance of the nearest camera are split, others
            cloned.
        prune_opacity: Gaussians below are removed.
        prune_scale: Gaussians larger than this times the distance of the nearest camera are removed.
        reset_opacity_every: steps after which opacities are cut to twice ``prune_opacity``; 0: never.
        noise: strength of noise on the means, as in ``McmcConfig``; 0: none.
        opacity_weight: weight of the mean opacity in the loss: what is not needed fades.
        scale_weight: weight of the mean scale, in units of the distance from the camera that looks.
    """

    absolute_gradient: bool = True
    threshold: float = 1e-4
    split_scale: float = 0.005
    prune_opacity: float = 0.005
    prune_scale: float = 1.0
    reset_opacity_every: int = 0
    noise: float = 0.0
    opacity_weight: float = 0.06
    scale_weight: float = 0.08

    def __post_init__(self) -> None:
        if not 0 <= self.prune_opacity < 0.5:
            raise ConfigError(f"adc.prune_opacity is {self.prune_opacity}; give 0 to less than 0.5")


@dataclass(frozen=True)
class McmcConfig:
    """Densification as sampling (Kheradmand et al. 2024).

    Attributes:
        noise: strength of the noise on the means, times their learning rate and the square of their
            scales; lengths are in units of how far the scene is from the cameras.
        dead_opacity: Gaussians below are moved to live ones.
        growth: the number grows by at most this factor at a refinement.
        opacity_weight: weight of the mean opacity in the loss.
        scale_weight: weight of the mean scale, in units of the distance from the camera that looks.
    """

    noise: float = 1e7
    dead_opacity: float = 0.005
    growth: float = 1.5
    opacity_weight: float = 0.01
    scale_weight: float = 0.008


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        steps: number of steps; None: as many as the minutes allow.
        minutes: time budget of training, or of all that ``reconstruct`` does; None: fixed by ``steps``.
        seed: of every random choice; with ``steps`` the same seed gives the same bits.
        strategy: how the number of Gaussians changes.
        max_gaussians: cap on their number; None: chosen from memory, time and pixels.
        ssim_weight: share of 1 - SSIM in the loss.
        pixel_loss: "l1" or "mse" for the rest of the loss.
        sh_degree: highest SH degree, 0 to 3; logit has none.
        colour: what is trained: spherical harmonics, the sigmoid of theirs, or the sigmoid of three numbers
            that do not depend on the view. The scene that is written has spherical harmonics in any case.
        renderer: how the scene is drawn: rasterized or ray traced.
        antialiased: compensate opacities for the blur of the projection.
        random_background: a new background colour each step, behind transparent pictures too, so that
            what the scene does not cover shows, and it learns to.
        clearance: free space around every camera, times the distance of the points nearest to any;
            Gaussians in it are removed, by mcmc while refinement lasts; 0: none.
        exposure: learn a colour gain and offset for each photograph.
        refine_poses: learn a small correction of the pose of each photograph; held-out ones keep theirs.
        batch_size: photographs in each step.
        frozen: fields of the Gaussians that are not trained.
        rates, schedule, adc, mcmc: the parts.
    """

    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    strategy: Literal["adc", "mcmc"] = "adc"
    max_gaussians: int | None = None
    ssim_weight: float = 0.2
    pixel_loss: Literal["l1", "mse"] = "l1"
    sh_degree: int = 3
    colour: Literal["sh", "sh-sigmoid", "logit"] = "sh"
    renderer: Literal["raster", "trace"] = "raster"
    antialiased: bool = False
    random_background: bool = True
    clearance: float = 0.7
    exposure: bool = False
    refine_poses: bool = False
    batch_size: int = 1
    frozen: tuple[FieldName, ...] = ()
    rates: Rates = field(default_factory=Rates)
    schedule: Schedule = field(default_factory=Schedule)
    adc: AdcConfig = field(default_factory=AdcConfig)
    mcmc: McmcConfig = field(default_factory=McmcConfig)

    def __post_init__(self) -> None:
        check_choices(self)
        if self.steps is not None and self.minutes is not None:
            raise ConfigError("steps and minutes exclude each other: give one of them")
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps is {self.steps}; give at least 1")
        if self.minutes is not None and not 0 < self.minutes < MOST_MINUTES:
            raise ConfigError(f"minutes is {self.minutes}; give more than 0, and less than {MOST_MINUTES:,}")
        if self.max_gaussians is not None and self.max_gaussians < 1:
            raise ConfigError(f"max_gaussians is {self.max_gaussians}; give at least 1")
        if not 0 <= self.ssim_weight <= 1:
            raise ConfigError(f"ssim_weight is {self.ssim_weight}; give a number from 0 to 1")
        if not 0 <= self.clearance < 1:
            raise ConfigError(f"clearance is {self.clearance}; give a number from 0 to less than 1")
        if self.renderer == "trace" and self.antialiased:
            raise ConfigError("antialiased is a mode of the rasterizer: leave it out with renderer trace")
        if self.sh_degree not in (0, 1, 2, 3):
            raise ConfigError(f"sh_degree is {self.sh_degree}; give 0, 1, 2 or 3")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size is {self.batch_size}; give at least 1")
        for part in ("rates", "schedule", "adc", "mcmc"):
            for name, value in vars(getattr(self, part)).items():
                if isinstance(value, float) and not isfinite(value):
                    raise ConfigError(f"{part}.{name} is {value}; give a finite number")

    @property
    def highest_degree(self) -> int:
        """SH degree of what is trained."""
        return 0 if self.colour == "logit" else self.sh_degree
