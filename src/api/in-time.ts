import { once } from 'node:events';
import { AppError } from '../errors.ts';

const chunkTimeoutMs = 15_000;

/**
 * The chunks of a stream that keeps flowing, so that nobody holds a connection for nothing.
 * @throws AppError when nothing comes for too long; what was read before stays read.
 */
export async function* inTime(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks = stream[Symbol.asyncIterator]();
  for (;;) {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), chunkTimeoutMs);
    const next = await Promise.race([
      chunks.next(),
      once(late.signal, 'abort').then(() => 'late' as const),
    ]).finally(() => clearTimeout(timer));
    if (next === 'late') {
      throw new AppError('validation', 'The stream paused too long; what came before is stored.');
    }
    if (next.done) return;
    yield next.value;
  }
}
