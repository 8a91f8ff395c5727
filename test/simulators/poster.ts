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
const pausesMs = [20, 100, 500, 1_000, 2_000, 4_000];

interface Queued {
  post: Post;
  attempts: number;
}

/** Calls back one after the other, a few at a time; what is refused is tried again, and holds nothing up meanwhile. */
export function createPoster(random: () => number): Poster {
  const queue: Queued[] = [];
  const waiting: (() => void)[] = [];
  let running = 0;
  let delayed = 0;

  const isIdle = () => queue.length === 0 && running === 0 && delayed === 0;
  const next = () => {
    while (running < postsAtOnce) {
      const queued = queue.shift();
      if (!queued) break;
      running += 1;
      void deliver(queued.post).then((isTaken) => {
        running -= 1;
        if (!isTaken) again(queued);
        next();
      });
    }
    if (isIdle()) for (const resolve of waiting.splice(0)) resolve();
  };
  const later = (pauseMs: number, work: () => void) => {
    delayed += 1;
    setTimeout(() => {
      delayed -= 1;
      work();
      next();
    }, pauseMs);
  };
  const again = ({ post, attempts }: Queued) => {
    const pauseMs = pausesMs[attempts];
    if (pauseMs !== undefined) later(pauseMs, () => queue.push({ post, attempts: attempts + 1 }));
  };
  const enqueue = (post: Post, isOutOfOrder: boolean) => {
    const at = isOutOfOrder ? Math.floor(random() * (queue.length + 1)) : queue.length;
    queue.splice(at, 0, { post, attempts: 0 });
  };

  return {
    post: (post, { delayMs, isTwice, isOutOfOrder }) =>
      later(delayMs, () => {
        enqueue(post, isOutOfOrder);
        if (isTwice) enqueue(post, true);
      }),
    settled: () => (isIdle() ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

/** @returns false for what is refused, or where nobody answers: the receiver may be restarting. */
async function deliver({ url, headers, body }: Post): Promise<boolean> {
  try {
    const content = typeof body === 'string' ? body : new Uint8Array(body);
    const own = typeof headers === 'function' ? headers() : headers;
    const answer = await fetch(url, { method: 'POST', headers: own, body: content });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
