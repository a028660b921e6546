/**
 * Parts of other packages that few calls need. They are loaded at their first use, which may lie inside a synchronous call; who imports
 * this package does not pay for them (jstat alone takes 60 ms).
 */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export function onDemand<T>(module: string): () => T {
  let loaded: T | undefined;
  return () => (loaded ??= require(module) as T);
}
