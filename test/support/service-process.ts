/** The service as a process of its own, as it runs outside tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

export interface ServiceProcess {
  url: string;
  child: ChildProcess;
  /** All that it wrote, log lines and else. */
  output(): string;
  /** Ends it, and tells how it ended. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export const servedOperatorKey = 'the-operator-of-the-tests';

const main = path.join(import.meta.dirname, '../../src/main.ts');
const listening = /"url":"(http[^"]+)"/;

/** @throws Error with what it wrote, when it ends instead of listening. */
export async function startService(
  databaseUrl: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [main, 'serve', '--migrate'], {
    env: {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: databaseUrl,
      RETORNO_OPERATOR_KEY: servedOperatorKey,
      RETORNO_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
      RETORNO_PORT: '0',
      RETORNO_REQUESTS_PER_SECOND: '1000000',
      RETORNO_PRIVATE_URLS: 'allow',
      ...environment,
    },
  });
  const written: string[] = [];
  const exited = once(child, 'exit');
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      written.push(String(chunk));
      const found = listening.exec(written.join(''))?.[1];
      if (found) resolve(found);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('exit', () => reject(new Error(`The service ended: ${written.join('')}`)));
  });
  child.stdout.removeAllListeners('data').on('data', (chunk) => written.push(String(chunk)));
  child.stderr.removeAllListeners('data').on('data', (chunk) => written.push(String(chunk)));
  return {
    url,
    child,
    output: () => written.join(''),
    end: async (signal) => {
      child.kill(signal);
      const [code, endedBy] = await exited;
      return { code, signal: endedBy };
    },
  };
}
