"""The steps of the pipeline: each module's name is its one public function."""
