"""Every option of a training run: one frozen record, one default each, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Literal

from sfumato.choices import check_choices
from sfumato.errors import ConfigError

# Fields of ``Gaussians``, repeated here so that options can be read without importing torch.
FieldName = Literal["means", "log_scales", "quats", "logit_opacities", "sh"]
# A year.
MOST_MINUTES = 525_600


@dataclass(frozen=True)
class Rates:
    """Learning rates of Adam.

    Attributes:
        means_start: of the means at the start, times the distance of the scene from the cameras.
        means_end: the same at the end; in between it decays log-linearly.
        log_scales: of the log scales.
        quats: of the quaternions.
        logit_opacities: of the logit opacities.
        sh_base: of the constant SH coefficients.
        sh_rest: of all other SH coefficients.
        exposure: of the exposure of each photograph.
        pose_rotations: of the corrections of poses, radians.
        pose_translations: the same, times the distance of the scene from the cameras.
        cool_from: fraction of the run after which every rate except that of the means decays.
        end_factor: final value of these rates, as a fraction of the initial one; the decay is log-linear.
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
    """Schedule of a run; times are fractions of the run, from 0 to 1.

    Attributes:
        half_resolution_until: train at half resolution until then.
        quarter_resolution_until: train at quarter resolution until then.
        sh_raises: when the SH degree rises to 1, 2 and 3.
        refine_from: start of densification.
        refine_until: end of densification.
        refine_every: steps between two densifications, in short runs.
        refine_share: largest fraction of the run between two, in long runs: ``refine_every`` is doubled as
            often as this allows.
        poses_from: start of pose refinement, once the scene has its rough shape.
        settle_from: from then on Gaussians are neither added, removed nor relocated, and the result is the
            average of the scenes of all later steps; 1: never.
    """

    half_resolution_until: float = 0.4
    quarter_resolution_until: float = 0.12
    sh_raises: tuple[float, float, float] = (0.2, 0.35, 0.5)
    refine_from: float = 0.02
    refine_until: float = 0.7
    refine_every: int = 100
    refine_share: float = 0.05
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
        if not 0 <= self.refine_share <= 1:
            raise ConfigError(f"schedule.refine_share is {self.refine_share}; give a share of the run")
        if self.refine_every < 1:
            raise ConfigError(f"schedule.refine_every is {self.refine_every}; give at least 1")


@dataclass(frozen=True)
class AdcConfig:
    """Adaptive density control: clone and split where the image gradient is large, prune the rest.

    Attributes:
        absolute_gradient: sum the absolute gradient over pixels, so that opposite gradients do not cancel.
        threshold: mean screen-space gradient, in half-image units, above which a Gaussian is
            densified; the largest come first.
        split_scale: candidates larger than this times the distance of the nearest camera are split, others
            cloned.
        prune_opacity: Gaussians of lower opacity are removed.
        prune_scale: Gaussians larger than this times the distance of the nearest camera are removed.
        reset_opacity_every: steps after which opacities are cut to twice ``prune_opacity``; 0: never.
        noise: strength of noise on the means, as in ``McmcConfig``; 0: none.
        opacity_weight: weight of the mean opacity in the loss at the start, so that unneeded Gaussians fade.
        opacity_end_factor: final value of this weight, as a fraction of the initial one; the decay is
            log-linear.
        scale_weight: weight of the mean scale, divided by the distance to the camera.
    """

    absolute_gradient: bool = True
    threshold: float = 1e-4
    split_scale: float = 0.005
    prune_opacity: float = 0.005
    prune_scale: float = 1.0
    reset_opacity_every: int = 0
    noise: float = 0.0
    opacity_weight: float = 0.06
    opacity_end_factor: float = 0.05
    scale_weight: float = 0.08

    def __post_init__(self) -> None:
        if not 0 <= self.prune_opacity < 0.5:
            raise ConfigError(f"adc.prune_opacity is {self.prune_opacity}; give 0 to less than 0.5")
        if not 0 < self.opacity_end_factor < inf:
            raise ConfigError(f"adc.opacity_end_factor is {self.opacity_end_factor}; give more than 0")


@dataclass(frozen=True)
class McmcConfig:
    """Densification as sampling (Kheradmand et al. 2024).

    Attributes:
        noise: strength of the noise on the means, times their learning rate and the square of their
            scales; lengths are in units of the distance of the scene from the cameras.
        dead_opacity: Gaussians of lower opacity are relocated to live ones.
        growth: largest factor by which the number of Gaussians grows in one densification.
        opacity_weight: weight of the mean opacity in the loss.
        scale_weight: weight of the mean scale, divided by the distance to the camera.
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
        minutes: time budget of training, or of the whole of ``reconstruct``; None: 5, or 10 with
            ``reconstruct``, unless steps are given.
        seed: of all random numbers; with ``steps`` the same seed gives the same bits.
        strategy: densification: adaptive density control or MCMC.
        max_gaussians: cap on their number; None: chosen from memory, time and pixels.
        ssim_weight: share of 1 - SSIM in the loss.
        pixel_loss: "l1" or "mse" for the rest of the loss.
        sh_degree: highest SH degree, 0 to 3; logit has none.
        colour: trained colour: spherical harmonics, a sigmoid of spherical harmonics, or a sigmoid of three
            view-independent numbers. The saved scene always has spherical harmonics.
        renderer: rasterizer or ray tracer.
        antialiased: compensate opacities for the blur of the projection.
        native_blur: while training reduces the photographs, blur ellipses in pixels of native size (up to
            1600 on the long side), so that Gaussians have the right size when rendered at native size.
            Set where photographs are reduced to fit the time.
        random_background: a new background colour each step, also behind transparent photographs, so
            uncovered areas are penalised and get filled.
        clearance: radius kept empty around each camera, as a fraction of the nearest points' distance;
            Gaussians inside are removed, with mcmc only during densification; 0: none.
        exposure: learn a colour gain and offset for each photograph.
        refine_poses: learn a small pose correction for each training photograph; held-out poses stay fixed.
        surface_weight: weight of the penalty that keeps Gaussians flat and along one surface, for meshes;
            0: none. Training takes about half as long again.
        batch_size: photographs in each step.
        crops: number of crops along each side of a photograph at full resolution; each step uses one of
            them, at random; 1: whole photographs.
        frozen: fields of the Gaussians that are not trained.
        rates, schedule, adc, mcmc: groups of options.
    """

    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    strategy: Literal["adc", "mcmc"] = "adc"
    max_gaussians: int | None = None
    ssim_weight: float = 0.4
    pixel_loss: Literal["l1", "mse"] = "l1"
    sh_degree: int = 3
    colour: Literal["sh", "sh-sigmoid", "logit"] = "sh"
    renderer: Literal["raster", "trace"] = "raster"
    antialiased: bool = False
    native_blur: bool = False
    random_background: bool = True
    clearance: float = 0.7
    exposure: bool = False
    refine_poses: bool = False
    surface_weight: float = 0.0
    batch_size: int = 1
    crops: int = 1
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
        if not 0 <= self.surface_weight < inf:
            raise ConfigError(f"surface_weight is {self.surface_weight}; give 0 or more, such as 0.05")
        if not 0 <= self.clearance < 1:
            raise ConfigError(f"clearance is {self.clearance}; give a number from 0 to less than 1")
        if self.renderer == "trace" and self.antialiased:
            raise ConfigError("antialiased is a mode of the rasterizer: leave it out with renderer trace")
        if self.renderer == "trace" and self.native_blur:
            raise ConfigError("native_blur is of the rasterizer: leave it out with renderer trace")
        if self.sh_degree not in (0, 1, 2, 3):
            raise ConfigError(f"sh_degree is {self.sh_degree}; give 0, 1, 2 or 3")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size is {self.batch_size}; give at least 1")
        if self.crops < 1:
            raise ConfigError(f"crops is {self.crops}; give at least 1")
        for part in ("rates", "schedule", "adc", "mcmc"):
            for name, value in vars(getattr(self, part)).items():
                if isinstance(value, float) and not isfinite(value):
                    raise ConfigError(f"{part}.{name} is {value}; give a finite number")

    @property
    def highest_degree(self) -> int:
        """Highest SH degree that is trained."""
        return 0 if self.colour == "logit" else self.sh_degree
