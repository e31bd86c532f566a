# The broker: web, worker and beat are this image with different commands (docker-compose.yml).
# Not built in this project's CI, which has no container engine; tests/test_compose.py checks its words.
FROM node:22-slim AS viewer
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci

FROM python:3.13-slim

RUN useradd --uid 10001 --home-dir /app --shell /usr/sbin/nologin usher
WORKDIR /app
COPY . .
# Editable: templates/, static/ and manage.py stay where they are. No `demo`: the simulated world is not for production.
RUN pip install --no-cache-dir --editable '.[broker]'
# What the viewer's pages load, laid out where they load it from: static/vendor/.
COPY --from=viewer /app/node_modules node_modules
RUN python -m broker.vendor && rm -r node_modules

USER usher
ENV PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=broker.settings
EXPOSE 8000 8080
CMD ["gunicorn", "broker.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "2", "--threads", "8", "--no-control-socket"]
