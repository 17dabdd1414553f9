"""What Darknet's sections and keys are called: those that are read, and those that are refused.

After the parsers of pjreddie's Darknet and of its forks (AlexeyAB, hank-ai). Keys that steer
training alone are known, and nothing comes of them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SectionKeys:
    """The keys of a kind of section.

    `read` decide what the network computes; `refused` do so, too, in ways that the language cannot
    say, if they are not 0: why is said. The others steer training.
    """

    read: tuple[str, ...]
    training: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NET = SectionKeys(
    _words("height width channels inputs"),
    _words(
        """batch subdivisions time_steps sequential_subdivisions max_batches learning_rate
        learning_rate_min momentum decay sgdr_cycle sgdr_mult track augment_speed try_fix_nan
        weights_reject_freq equidistant_point badlabels_rejection_percentage
        num_sigmas_reject_badlabels ema_alpha use_cuda_graph loss_scale dynamic_minibatch
        optimized_memory workspace_size_limit_MB adam B1 B2 eps max_crop min_crop max_ratio
        min_ratio center clip flip blur gaussian_noise mixup cutmix mosaic letter_box mosaic_bound
        contrastive contrastive_jit_flip contrastive_color unsupervised label_smooth_eps
        resize_step attention adversarial_lr max_chart_loss angle aspect saturation exposure hue
        power policy burn_in step scale steps scales seq_scales gamma show_receptive_field
        notruth random letterbox"""
    ),
)

EVERY_LAYER = _words(
    """clip onlyforward dont_update burnin_update stopbackward train_only_bn learning_rate
    learning_rate_scale smooth truth nonlinear stream wait_stream dontload dontloadscales"""
)
"""Keys that Darknet reads in every section of a layer; none changes what a trained one computes."""

_NOT_LOADED = {
    "dontload": "its weights would be random",
    "dontloadscales": "its scales would be random",
}
_BINARY = "it makes weights and inputs binary"

LAYERS: Mapping[str, SectionKeys] = {
    "convolutional": SectionKeys(
        _words(
            """filters size stride stride_x stride_y pad padding dilation groups activation
            batch_normalize flipped"""
        ),
        _words("dot assisted_excitation angle grad_centr reverse"),
        {
            "binary": _BINARY,
            "xnor": _BINARY,
            "bin_output": _BINARY,
            "antialiasing": "it blurs with a filter that is no weight",
            "share_index": "it uses another layer's weights",
            "coordconv": "it adds channels of coordinates",
            "cbn": "it normalizes over several batches",
            "sway": "it deforms kernels",
            "rotate": "it deforms kernels",
            "stretch": "it deforms kernels",
            "stretch_sway": "it deforms kernels",
            **_NOT_LOADED,
        },
    ),
    "connected": SectionKeys(_words("output activation batch_normalize"), (), _NOT_LOADED),
    "local": SectionKeys(_words("filters size stride pad activation"), (), _NOT_LOADED),
    "maxpool": SectionKeys(
        _words("size stride stride_x stride_y padding"),
        _words("out_channels"),
        {
            "maxpool_depth": "it pools over channels",
            "antialiasing": "it blurs with a filter that is no weight",
            "maxpool_zero_nonmax": "it clears what is not the largest",
        },
    ),
    "local_avgpool": SectionKeys(_words("size stride stride_x stride_y padding")),
    "avgpool": SectionKeys(()),
    "activation": SectionKeys(_words("activation")),
    "dropout": SectionKeys(
        _words("probability"), _words("dropblock dropblock_size_rel dropblock_size_abs")
    ),
    "softmax": SectionKeys(
        _words("groups temperature spatial"), _words("noloss"), {"tree": "it sums over a tree"}
    ),
    "route": SectionKeys(_words("layers groups group_id")),
    "shortcut": SectionKeys(
        _words("from activation weights_type alpha beta"), _words("weights_normalization")
    ),
    "scale_channels": SectionKeys(
        _words("from activation"), (), {"scale_wh": "it scales places instead of channels"}
    ),
    "sam": SectionKeys(_words("from activation")),
    "upsample": SectionKeys(_words("stride scale")),
    "reorg": SectionKeys(
        _words("stride reverse"), (), {"flatten": "it transposes the map", "extra": "it adds zeros"}
    ),
    "reorg3d": SectionKeys(_words("stride reverse")),
    "crop": SectionKeys(
        _words("crop_height crop_width noadjust"),
        _words("flip angle saturation exposure shift"),
    ),
    "empty": SectionKeys(()),
    "cost": SectionKeys((), _words("type scale ratio noobj thresh")),
    "yolo": SectionKeys(
        _words("classes num mask"),
        _words(
            """max max_boxes anchors jitter resize ignore_thresh truth_thresh iou_thresh random
            map show_details max_delta counters_per_class label_smooth_eps scale_x_y
            objectness_smooth new_coords iou_normalizer obj_normalizer cls_normalizer
            delta_normalizer iou_loss iou_thresh_kind beta_nms nms_kind focal_loss
            track_history_size sim_thresh dets_for_track dets_for_show track_ciou_norm
            embedding_layer"""
        ),
    ),
    "Gaussian_yolo": SectionKeys(
        _words("classes num mask"),
        _words(
            """max anchors jitter resize ignore_thresh truth_thresh iou_thresh random map
            max_delta counters_per_class label_smooth_eps scale_x_y objectness_smooth
            uc_normalizer iou_normalizer obj_normalizer cls_normalizer delta_normalizer iou_loss
            iou_thresh_kind beta_nms nms_kind yolo_point"""
        ),
    ),
    "region": SectionKeys(
        _words("classes coords num"),
        _words(
            """max anchors log sqrt softmax background focal_loss jitter resize rescore thresh
            classfix absolute random coord_scale object_scale noobject_scale mask_scale
            class_scale bias_match tree map"""
        ),
    ),
    "detection": SectionKeys(
        _words("classes coords num side"),
        _words(
            """rescore softmax sqrt max coord_scale forced object_scale noobject_scale
            class_scale jitter resize random reorg"""
        ),
    ),
}
"""The sections that are read."""

ALIASES: Mapping[str, str] = {
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "local_avg": "local_avgpool",
    "avg": "avgpool",
    "soft": "softmax",
    "lrn": "normalization",
    "silence": "empty",
    "deconv": "deconvolutional",
}
"""Second names of sections."""

_RECURRENT = "the language has no recurrent layers"

REFUSED: Mapping[str, str] = {
    "rnn": _RECURRENT,
    "crnn": _RECURRENT,
    "gru": _RECURRENT,
    "lstm": _RECURRENT,
    "conv_lstm": _RECURRENT,
    "history": _RECURRENT,
    "batchnorm": "what weights it keeps depends on the version of Darknet",
    "normalization": "Darknet leaves a channel out of its sums; the language's lrn does not",
    "l2norm": "the language has no such layer",
    "logistic": "it is a loss and an activation in one",
    "deconvolutional": "only some versions of Darknet have it, and they differ",
    "contrastive": "it serves training alone",
    "implicit": "the language has no layer that makes values out of weights alone",
    "iseg": "the language does not segment into instances",
}
"""Sections that Darknet has, and why they are not read."""

DETECTIONS = ("yolo", "Gaussian_yolo", "region", "detection")
"""Sections that make boxes of what a network computes: they become its outputs."""


def known_sections() -> list[str]:
    """Return every name that a section may have in Darknet."""
    return ["net", *LAYERS, *ALIASES, *REFUSED]


def canonical(name: str) -> str:
    """Return the first name of a section."""
    return ALIASES.get(name, name)


def keys_of(name: str) -> SectionKeys:
    """Return the keys of a section that is read, by its first name."""
    return NET if name == "net" else LAYERS[name]


def all_keys(name: str) -> list[str]:
    """Return every key that may stand in a section that is read."""
    keys = keys_of(name)
    common = () if name == "net" else EVERY_LAYER
    return [*keys.read, *keys.training, *keys.refused, *common]
