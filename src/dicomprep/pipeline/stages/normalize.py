"""Frame → Normalized: the picture that a radiology viewer would show, at the frame's own size."""

from dataclasses import replace

import numpy as np

from dicomprep.config import ImageOptions
from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import DecodedAs, Frame, Intensity, Normalized, Pixels
from dicomprep.pixels.blanking import find_writing
from dicomprep.pixels.color import apply_palette, convert_ybr_full, convert_ybr_partial, scale_color, to_srgb
from dicomprep.pixels.geometry import Box
from dicomprep.pixels.intensity import draw_grayscale
from dicomprep.pixels.resampling import samples_of
from dicomprep.pixels.transform import PaletteRecord, record_grayscale

__all__ = ["normalize"]


def normalize(frame: Frame, options: ImageOptions) -> Normalized:
    """Turn stored values into what a viewer would show (PS3.4 N.2): modality and VOI rule, or color.

    The pixels of `frame` are (rows, columns[, 3]) of any integer or float dtype. Returns (rows, columns[, 3]) uint8 or
    uint16 as `options.depth` says: one channel for one window, three for three windows, a palette or a source in color.

    Raises InputError `unsupported_pixels` for a photometric interpretation that has no rule.
    """
    if frame.grayscale:
        pixels, intensity = _draw_windows(frame, options)
        if frame.palette is not None:
            pixels = _add_colors(pixels, frame, frame.palette, options)
            intensity = replace(intensity, palette=PaletteRecord(len(frame.palette), frame.palette_first))
    elif frame.palette is not None:
        pixels = apply_palette(frame.pixels, palette=frame.palette, first=frame.palette_first, depth=options.depth)
        intensity = Intensity(palette=PaletteRecord(len(frame.palette), frame.palette_first))
    else:
        pixels, intensity = _to_rgb(frame, options), Intensity(bits_stored=frame.bits_stored)
    if frame.icc_profile is not None:
        pixels, effect = _apply_profile(pixels, frame.icc_profile)
        intensity = replace(intensity, icc=effect)
    decoded = DecodedAs(frame.photometric_interpretation, frame.decoder, frame.grid.step, frame.step, frame.notes)
    return Normalized(
        pixels,
        frame.source_shape,
        frame.grid,
        frame.aspect,
        intensity,
        decoded,
        frame.column_mm,
        is_label_map=frame.is_label_map,
        placement=frame.placement,
        blanked=_find_writing(pixels, frame),
    )


def _find_writing(pixels: Pixels, frame: Frame) -> tuple[Box, ...]:
    """What is to be blanked, in pixels of the source."""
    if not (frame.placement.regions or frame.placement.may_show_text) or frame.is_label_map:
        return ()
    return find_writing(pixels, grid=frame.grid, shape=frame.source_shape, regions=frame.placement.regions)


def _draw_windows(frame: Frame, options: ImageOptions) -> tuple[Pixels, Intensity]:
    """Grayscale by one rule, or RGB by three."""
    bits, depth, seen = frame.bits_stored, options.depth, _samples_seen(frame)
    drawn = [np.zeros(frame.pixels.shape, f"u{depth // 8}") for _ in frame.grayscale]
    for picture, rule in zip(drawn, frame.grayscale, strict=True):
        picture[seen] = draw_grayscale(frame.pixels[seen], grayscale=rule, bits_stored=bits, depth=depth)
    intensity = Intensity(tuple(map(record_grayscale, frame.grayscale)))
    return drawn[0] if len(drawn) == 1 else np.stack(drawn, axis=-1), intensity


def _samples_seen(frame: Frame) -> tuple[slice, ...]:
    """The samples that take part in the thumbnail: all of them, where writing is looked for."""
    region = frame.placement.region
    if region is None or frame.placement.may_show_text:
        return (slice(None),)
    return samples_of(region, frame.grid)


def _apply_profile(pixels: Pixels, icc_profile: bytes) -> tuple[Pixels, str]:
    """RGB in sRGB and what to say of it; as it was, and why, where the profile cannot be used."""
    try:
        return to_srgb(pixels, icc_profile=icc_profile), "to sRGB"
    except ValueError as error:
        return pixels, str(error)


def _add_colors(grayscale: Pixels, frame: Frame, palette: Pixels, options: ImageOptions) -> Pixels:
    """RGB: the colors of a supplemental palette where stored values have one, gray below (PS3.3 C.8.16.2.1.1.1)."""
    colors = apply_palette(frame.pixels, palette=palette, first=frame.palette_first, depth=options.depth)
    colored = frame.pixels >= frame.palette_first
    padding = frame.grayscale[0].padding
    if padding is not None:
        colored &= (frame.pixels < padding[0]) | (frame.pixels > padding[1])
    rgb = grayscale if grayscale.ndim == 3 else np.repeat(grayscale[..., np.newaxis], 3, axis=-1)
    return np.where(colored[..., np.newaxis], colors, rgb)


def _to_rgb(frame: Frame, options: ImageOptions) -> Pixels:
    label = frame.photometric_interpretation
    pixels, bits, depth = frame.pixels, frame.bits_stored, options.depth
    if pixels.dtype.kind != "u":
        raise InputError(ErrorCode.UNSUPPORTED_PIXELS, f"{label} with float samples is not supported")
    if label in ("YBR_FULL", "YBR_FULL_422"):
        pixels, bits = _to_byte_samples(pixels, bits, depth)
        pixels = convert_ybr_full(pixels)
    elif label in ("YBR_PARTIAL_422", "YBR_PARTIAL_420") and bits == 8:
        pixels = convert_ybr_partial(pixels)
    elif label not in ("RGB", "YBR_RCT", "YBR_ICT"):
        raise InputError(ErrorCode.UNSUPPORTED_PIXELS, f"Photometric Interpretation (0028,0004) {label} is unknown")
    return scale_color(pixels, bits_stored=bits, depth=depth)


def _to_byte_samples(pixels: Pixels, bits: int, depth: int) -> tuple[Pixels, int]:
    """Samples that fill 8 or 16 bits, as the YBR conversion needs them."""
    if bits in (8, 16):
        return pixels, bits
    return scale_color(pixels, bits_stored=bits, depth=depth), depth
