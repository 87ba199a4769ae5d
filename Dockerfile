# dicomprep and what it needs, nothing else: docs/install.md says how to run it.
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY examples examples
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
LABEL org.opencontainers.image.title="dicomprep" \
      org.opencontainers.image.description="Raw DICOM files in; training-ready images, a database and hold-out splits out." \
      org.opencontainers.image.licenses="MIT"
# LOGNAME: `release` records who reviewed an image, also for a `--user` that the container has no name for
ENV PYTHONUNBUFFERED=1 LOGNAME=dicomprep HOME=/tmp
COPY requirements-run.lock /tmp/
COPY --from=build /wheels /tmp/wheels
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements-run.lock \
    && pip install --no-cache-dir --no-deps /tmp/wheels/*.whl \
    && rm -r /tmp/wheels /tmp/requirements-run.lock \
    && useradd --uid 1000 --no-create-home --home-dir /tmp dicomprep \
    && install --directory --owner dicomprep /data
USER dicomprep
WORKDIR /data
EXPOSE 5001
# The pages answer, if only that the token is missing. `preprocess` has no pages: run it with --no-healthcheck.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s \
    CMD ["python", "-c", "from http.client import HTTPConnection; c = HTTPConnection('127.0.0.1', 5001, timeout=8); c.request('GET', '/'); raise SystemExit(c.getresponse().status >= 500)"]
ENTRYPOINT ["dicomprep"]
CMD ["label", "--host", "0.0.0.0"]
