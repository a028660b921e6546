/**
 * Where a thread entry of `workers/` lies. Node 20 cannot load TypeScript in a thread, so code that runs from source
 * (the tests) takes the built entry: `npm run build` comes first.
 */
export function workerUrl(entry: 'l2-io' | 'profile'): URL {
  const runsFromSource = import.meta.url.endsWith('.ts');
  return new URL(`${runsFromSource ? '../../dist/workers/' : '../../workers/'}${entry}.js`, import.meta.url);
}
