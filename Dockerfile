# The gateway in a small image: docker build -t jmap-gateway .
#   docker run -p 8080:8080 -v jmap-gateway:/var/lib/jmap-gateway \
#       jmap-gateway serve --imap imaps://mail.example.org
# Put a proxy that speaks TLS in front of port 8080.

FROM python:3.12-slim AS build
WORKDIR /src
COPY deploy/requirements.lock deploy/requirements-build.lock deploy/
# Only ready-made packages, each with the hash that the lock file names.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --only-binary :all: --require-hashes \
        --requirement deploy/requirements-build.lock \
    && python -m venv /opt/jmap-gateway \
    && /opt/jmap-gateway/bin/pip install --no-cache-dir --only-binary :all: --require-hashes \
        --requirement deploy/requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
RUN /opt/build/bin/pip wheel --no-build-isolation --no-deps --wheel-dir /opt/wheels . \
    && /opt/jmap-gateway/bin/pip install --no-cache-dir --no-deps /opt/wheels/*.whl

FROM python:3.12-slim
COPY --from=build /opt/jmap-gateway /opt/jmap-gateway
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/jmap-gateway jmap-gateway
ENV PATH=/opt/jmap-gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    JMAP_GATEWAY_SERVER__LISTEN=0.0.0.0:8080 \
    JMAP_GATEWAY_SERVER__ADMIN_LISTEN=127.0.0.1:8081 \
    JMAP_GATEWAY_SERVER__DATA_DIR=/var/lib/jmap-gateway
USER jmap-gateway
VOLUME /var/lib/jmap-gateway
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD \
    ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8081/healthz/live', timeout=3)"]
ENTRYPOINT ["jmap-gateway"]
CMD ["serve"]
