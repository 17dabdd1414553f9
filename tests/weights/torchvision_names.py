"""The tensors of torchvision's ResNet-50, in the order in which its modules are registered."""

from __future__ import annotations


def resnet50(classes: int = 1000) -> dict[str, tuple[int, ...]]:
    """Return the shape of every entry of `resnet50().state_dict()`."""
    found: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    channels = 64
    for stage, depth in enumerate((3, 4, 6, 3), 1):
        width = 64 * 2 ** (stage - 1)
        for unit in range(depth):
            name = f"layer{stage}.{unit}"
            found |= {f"{name}.conv1.weight": (width, channels, 1, 1), **norm(f"{name}.bn1", width)}
            found |= {f"{name}.conv2.weight": (width, width, 3, 3), **norm(f"{name}.bn2", width)}
            found |= {f"{name}.conv3.weight": (4 * width, width, 1, 1)}
            found |= norm(f"{name}.bn3", 4 * width)
            if unit == 0:
                found |= {f"{name}.downsample.0.weight": (4 * width, channels, 1, 1)}
                found |= norm(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    return found | {"fc.weight": (classes, channels), "fc.bias": (classes,)}


def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    statistics = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{role}": (channels,) for role in statistics} | {
        f"{name}.num_batches_tracked": ()
    }
