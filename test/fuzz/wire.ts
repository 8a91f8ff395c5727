/** Puts a request on the wire as it is, however odd, and reads what comes back. */
import http from 'node:http';
import type { FuzzRequest } from './requests.ts';

export interface FuzzAnswer {
  /** 0 when the connection ended without one. */
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  ms: number;
}

const patienceMs = 20_000;
const missingBytes = 10;

export function createWire(url: string, connections: number) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const { hostname, port } = new URL(url);
  const send = (wanted: FuzzRequest, isRepeated = false): Promise<FuzzAnswer> => {
    const { method, path, headers, body, isCutOff } = wanted;
    return new Promise((resolve) => {
      const startedAt = performance.now();
      const end = (answer: Omit<FuzzAnswer, 'ms'>) =>
        resolve({ ...answer, ms: performance.now() - startedAt });
      const lost = () => end({ status: 0, headers: {}, text: '' });
      const bytes = Buffer.from(body ?? '');
      const request = http.request({
        ...{ agent, hostname, port, method, path, timeout: patienceMs },
        headers: {
          ...headers,
          ...(body !== undefined && {
            'content-length': bytes.length + (isCutOff ? missingBytes : 0),
          }),
        },
      });
      request.on('response', (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', lost);
        response.on('end', () =>
          end({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(parts).toString(),
          }),
        );
      });
      request.on('upgrade', (_response, socket) => {
        socket.destroy();
        lost();
      });
      request.on('error', () => {
        // The service may close an idle connection just when it is used again.
        if (request.reusedSocket && !isCutOff && !isRepeated) resolve(send(wanted, true));
        else lost();
      });
      request.on('timeout', () => request.destroy());
      if (!isCutOff) request.end(bytes);
      else request.write(bytes, () => request.destroy());
    });
  };
  return { send: (request: FuzzRequest) => send(request), close: () => agent.destroy() };
}
