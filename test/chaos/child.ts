import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** A process that is there to be killed. */
export interface Child {
  /** Its connections to the database bear it. */
  name: string;
  ready: Promise<void>;
  /** Resolves once it is gone, with the signal that ended it. */
  ended: Promise<NodeJS.Signals | number | null>;
  kill(): Promise<void>;
  /** To speak with it. */
  process: ChildProcess;
}

let children = 0;

export interface ChildWish {
  /** A file of this folder. */
  program: string;
  settings: object;
  databaseUrl: string;
  environment?: Record<string, string>;
}

export const chaosSecretKey = Buffer.alloc(32, 7).toString('base64');

export function startChild({ program, settings, databaseUrl, environment }: ChildWish): Child {
  children += 1;
  const name = `chaos-${process.pid}-${children}`;
  const url = new URL(databaseUrl);
  url.searchParams.set('application_name', name);
  const child = fork(path.join(import.meta.dirname, program), [JSON.stringify(settings)], {
    execArgv: [],
    env: {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: url.href,
      RETORNO_SECRET_KEY: chaosSecretKey,
      RETORNO_PRIVATE_URLS: 'allow',
      RETORNO_PUBLIC_URL: 'http://127.0.0.1',
      RETORNO_POOL_SIZE: '6',
      RETORNO_LOG_LEVEL: process.env.CHAOS_LOG_LEVEL ?? 'fatal',
      ...environment,
    },
  });
  const ended = once(child, 'exit').then(([code, signal]) => signal ?? code);
  return {
    name,
    ended,
    process: child,
    ready: Promise.race([once(child, 'message').then(() => {}), ended.then(failedToStart)]),
    kill: async () => {
      kill(child);
      await ended;
    },
  };
}

function kill(child: ChildProcess): void {
  child.kill('SIGKILL');
}

/** A fault point may end it before it says that it is ready. */
function failedToStart(how: NodeJS.Signals | number | null): void {
  if (how !== 'SIGKILL') throw new Error(`A child ended with ${how}.`);
}
