/**
 * Internals of the built package, for benchmarks that take a read apart. The public parts are imported as 'profilecache'.
 * Source run through tsx would be no measure: the decoder takes twice as long there.
 */
export async function built<M>(module: string): Promise<M> {
  return (await import(new URL(`../../dist/src/${module}.js`, import.meta.url).href)) as M;
}
