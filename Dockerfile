# cdc-sms, slim: the pinned packages it runs with, nothing that builds or tests it, no root.

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
# Two environments: one that builds and stays here, one that moves on and holds no pip.
RUN sed '/^# build:/,$d' constraints.txt >/tmp/runtime.txt \
 && sed -n '/^# build:/,/^# demo:/p' constraints.txt >/tmp/build.txt \
 && python -m venv /build \
 && python -m venv --without-pip /opt/cdc-sms \
 && /build/bin/pip install --no-cache-dir --require-hashes -r /tmp/build.txt \
 && /build/bin/pip --python /opt/cdc-sms/bin/python install --no-cache-dir --require-hashes -r /tmp/runtime.txt
COPY cdc_sms cdc_sms
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
 && /build/bin/pip --python /opt/cdc-sms/bin/python install --no-cache-dir --no-deps /tmp/wheel/*.whl

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home cdc-sms
COPY --from=build /opt/cdc-sms /opt/cdc-sms
ENV PATH=/opt/cdc-sms/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Which role's health is asked for: serve answers on 8080, capture on 8081, deliver on 8082.
ENV HEALTH_URL=http://127.0.0.1:8080/health/live
USER 10001
EXPOSE 8080 8081 8082
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=4)"]
ENTRYPOINT ["cdc-sms"]
CMD ["run"]
