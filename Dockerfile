FROM node:26-slim

ENV NODE_ENV=production \
    RETORNO_HOST=0.0.0.0 \
    RETORNO_DATA_DIR=/var/lib/retorno

WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force \
 && install -d -o node -g node "$RETORNO_DATA_DIR"
COPY . .

USER node
VOLUME /var/lib/retorno
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.RETORNO_PORT || 8080}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# Never npm: it would swallow SIGTERM.
CMD ["node", "src/main.ts", "serve"]
