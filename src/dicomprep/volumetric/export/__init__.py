"""Exports of series as volumes: NIfTI and zarr, with the lists that MONAI, nnU-Net and others read."""
