/** Entry of a profiling thread (Piscina). */
import { workerData } from 'node:worker_threads';
import { openProfileThread, type ProfileThreadData } from '../src/profiler/profile-thread.ts';

export default openProfileThread(workerData as ProfileThreadData);
