// Loads the TypeScript store into a worker thread: Node 20 cannot do that by itself.
import { tsImport } from 'tsx/esm/api';

export const { createStore } = await tsImport('./memory-store.ts', import.meta.url);
