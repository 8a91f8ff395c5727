import { AppError } from '../errors.ts';
import type { App } from './app-types.ts';

/** Tells a path that does not exist from one that does not take this method. */

export function addMethodAnswers(app: App): void {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const methods = methodsOf.get(url) ?? new Set<string>();
    for (const each of [method].flat()) methods.add(each);
    methodsOf.set(url, methods);
  });
  app.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?');
    const allowed = [...methodsOf].filter(([pattern]) => fits(pattern, path));
    if (allowed.length === 0) throw new AppError('not-found', 'There is no such path.');
    const methods = allowed.flatMap(([, methods]) => [...methods]);
    reply.header('allow', [...new Set(methods)].sort().join(', '));
    throw new AppError('method-not-allowed', 'This path does not take that method.');
  });
}

function fits(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => part.startsWith(':') || part === given[index])
  );
}
