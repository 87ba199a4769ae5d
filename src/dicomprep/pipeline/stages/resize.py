"""Normalized → Thumbnail: antialiased scaling to a canvas in which the pixels are square."""

from dicomprep.config import Fidelity, ImageOptions
from dicomprep.models import Normalized, Thumbnail, Transform
from dicomprep.pixels.blanking import blank_thumbnail
from dicomprep.pixels.geometry import plan_geometry
from dicomprep.pixels.resampling import place, place_labels

__all__ = ["resize"]


def resize(normalized: Normalized, options: ImageOptions) -> Thumbnail:
    """Scale to `options.size` by `options.fit`; the transform goes along, so that points can be mapped back.

    The pixels of `normalized` are (rows, columns[, 3]) uint8 or uint16, not square where Pixel Spacing (0028,0030) or
    Pixel Aspect Ratio (0028,0034) says so. Returns (rows, columns[, 3]) of their dtype, in which pixels are square.
    Raises InputError: `no_spacing` where the size depends on a spacing that is not known, `limit_exceeded`.
    """
    placement = normalized.placement
    geometry = plan_geometry(
        normalized.source_shape,
        aspect=normalized.aspect,
        size=options.size_for(normalized.column_mm),
        fit=options.fit,
        region=placement.region,
        flipped=placement.flipped,
    )
    transform = Transform(geometry, normalized.intensity, normalized.decoded, normalized.blanked)
    if normalized.is_label_map:
        return Thumbnail(place_labels(normalized.pixels, geometry), transform)
    exact = options.fidelity is Fidelity.EXACT
    pixels = place(normalized.pixels, geometry, grid=normalized.grid, exact=exact)
    return Thumbnail(blank_thumbnail(pixels, normalized.blanked, geometry) if normalized.blanked else pixels, transform)
