import { setTimeout as pause } from 'node:timers/promises';

/** How a simulator calls us back. */

export interface CallbackFaults {
  delayMs: number;
  isTwice: boolean;
  isOutOfOrder: boolean;
}

export interface Post {
  url: string;
  /** A function where each attempt is signed anew. */
  headers: Record<string, string> | (() => Record<string, string>);
  body: string | Buffer;
}

export interface Poster {
  post(post: Post, faults: CallbackFaults): void;
  /** When every call back that was due has been answered. */
  settled(): Promise<void>;
}

const postsAtOnce = 4;
/** Real providers try again for hours; these for some seconds, at growing intervals. */
const pausesMs = [0, 20, 100, 500, 1_000, 2_000, 4_000];

/** Calls back one after the other, a few at a time; what is refused is tried again. */
export function createPoster(random: () => number): Poster {
  const queue: Post[] = [];
  const waiting: (() => void)[] = [];
  let running = 0;
  let delayed = 0;

  const isIdle = () => queue.length === 0 && running === 0 && delayed === 0;
  const next = () => {
    while (running < postsAtOnce) {
      const post = queue.shift();
      if (!post) break;
      running += 1;
      void deliver(post).then(() => {
        running -= 1;
        next();
      });
    }
    if (isIdle()) for (const resolve of waiting.splice(0)) resolve();
  };
  const enqueue = (post: Post, isOutOfOrder: boolean) => {
    if (isOutOfOrder) queue.splice(Math.floor(random() * (queue.length + 1)), 0, post);
    else queue.push(post);
  };

  return {
    post: (post, { delayMs, isTwice, isOutOfOrder }) => {
      delayed += 1;
      setTimeout(() => {
        delayed -= 1;
        enqueue(post, isOutOfOrder);
        if (isTwice) enqueue(post, true);
        next();
      }, delayMs);
    },
    settled: () => (isIdle() ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

async function deliver({ url, headers, body }: Post): Promise<void> {
  for (const pauseMs of pausesMs) {
    if (pauseMs > 0) await pause(pauseMs);
    try {
      const content = typeof body === 'string' ? body : new Uint8Array(body);
      const own = typeof headers === 'function' ? headers() : headers;
      const answer = await fetch(url, { method: 'POST', headers: own, body: content });
      await answer.arrayBuffer();
      if (answer.ok) return;
    } catch {
      // The receiver may be restarting; the attempt is counted like a refusal.
    }
  }
}
