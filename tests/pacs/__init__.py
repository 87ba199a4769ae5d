"""Tests against servers of a hospital: DICOMweb and DIMSE."""
