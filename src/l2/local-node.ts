/**
 * One redis-server process on 127.0.0.1: its configuration, its start, and a stop that never hits another process.
 * The configuration goes through a file of mode 0600, because arguments (a password among them) show in `ps`.
 */
import { spawn, execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { ProfileCacheError } from '../errors.ts';

export const LOCAL_HOST = '127.0.0.1';
/** A node that has not answered a PING by then did not come up. */
const START_DEADLINE_MS = 15_000;
/** After SIGTERM a node gets this long before SIGKILL. */
const STOP_GRACE_MS = 3_000;
const POLL_MS = 20;
const LOG_TAIL_BYTES = 1_500;
const CLIENT_TIMEOUT_MS = 2_000;

export interface LocalServerOptions {
  /** Password of the default user. */
  password?: string;
  /** Path of an ACL file; then `password` must fit the default user of that file. */
  aclFile?: string;
  /** Paths of PEM files: the nodes then speak TLS alone. */
  tls?: { certFile: string; keyFile: string; caFile: string };
  /** Keep data in an append-only file, so that a restarted node comes back with it. */
  appendOnly?: boolean;
  /** More lines of redis.conf, such as `maxmemory 10mb`. */
  extraConfig?: readonly string[];
}

export interface LocalServerSpec extends LocalServerOptions {
  port: number;
  /** Existing folder that is this node's alone. */
  folder: string;
  /** Lines that make the node a member of a cluster; empty for a standalone server. */
  clusterConfig: readonly string[];
}

/** The one line that installs redis-server with the package manager found here. */
export function installLine(): string {
  const managers: Array<[string, string]> = [
    ['apt-get', 'sudo apt-get install -y redis-server'],
    ['dnf', 'sudo dnf install -y redis'],
    ['apk', 'sudo apk add redis'],
    ['brew', 'brew install redis'],
  ];
  return managers.find(([command]) => isOnPath(command))?.[1] ?? 'install redis-server 6.2 or newer with your package manager';
}

export function isOnPath(command: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', `command -v ${command}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export function requireRedisServer(): void {
  if (isOnPath('redis-server')) return;
  throw new ProfileCacheError('ERR_CLUSTER', `redis-server is not on the PATH; install it with: ${installLine()}`);
}

/** Rejects with ERR_CLUSTER when somebody listens on the port already. */
export async function requireFreePort(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (cause: NodeJS.ErrnoException) =>
      reject(new ProfileCacheError('ERR_CLUSTER', `port ${port} on ${LOCAL_HOST} cannot be used (${cause.code}); stop what listens there or choose another base port`, { cause, node: `${LOCAL_HOST}:${port}` })),
    );
    probe.listen(port, LOCAL_HOST, () => probe.close(() => resolve()));
  });
}

/** Starts the process, detached from this one so that it may outlive it. Returns its pid at once; `waitUntilUp` tells when it serves. */
export function spawnServer(spec: LocalServerSpec): number {
  mkdirSync(spec.folder, { recursive: true, mode: 0o700 });
  const configFile = join(spec.folder, 'redis.conf');
  writeFileSync(configFile, configText(spec), { mode: 0o600 });
  const child = spawn('redis-server', [configFile], { detached: true, stdio: 'ignore', cwd: spec.folder });
  // Without a listener a failed spawn would be an uncaught exception; `waitUntilUp` reports it by the missing process.
  child.on('error', () => undefined);
  child.unref();
  if (child.pid === undefined) throw new ProfileCacheError('ERR_CLUSTER', `redis-server could not be started; install it with: ${installLine()}`);
  return child.pid;
}

function configText(spec: LocalServerSpec): string {
  const quote = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const { port, tls } = spec;
  const lines = [
    `bind ${LOCAL_HOST}`,
    'protected-mode yes',
    'daemonize no',
    `dir ${quote(spec.folder)}`,
    `logfile ${quote(join(spec.folder, 'redis.log'))}`,
    'save ""',
    `appendonly ${spec.appendOnly ? 'yes' : 'no'}`,
    ...(tls
      ? ['port 0', `tls-port ${port}`, `tls-cert-file ${quote(tls.certFile)}`, `tls-key-file ${quote(tls.keyFile)}`, `tls-ca-cert-file ${quote(tls.caFile)}`, 'tls-auth-clients no', 'tls-replication yes', 'tls-cluster yes']
      : [`port ${port}`]),
    ...(spec.aclFile === undefined ? [] : [`aclfile ${quote(spec.aclFile)}`]),
    ...(spec.password === undefined ? [] : [`masterauth ${quote(spec.password)}`, ...(spec.aclFile === undefined ? [`requirepass ${quote(spec.password)}`] : [])]),
    ...spec.clusterConfig,
    ...(spec.extraConfig ?? []),
  ];
  return `${lines.join('\n')}\n`;
}

export async function waitUntilUp(spec: LocalServerSpec, pid: number): Promise<void> {
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  for (;;) {
    const answer = await withServer(spec.port, spec, (redis) => redis.ping()).catch(() => undefined);
    if (answer === 'PONG') return;
    if (!isAlive(pid) || performance.now() > deadlineMs) {
      const tail = logTail(spec.folder);
      throw new ProfileCacheError('ERR_CLUSTER', `redis-server on ${LOCAL_HOST}:${spec.port} did not come up${tail ? `; the end of its log:\n${tail}` : ' and wrote no log; run redis-server by hand to see why'}`, { node: `${LOCAL_HOST}:${spec.port}` });
    }
    await sleep(POLL_MS);
  }
}

export function logTail(folder: string): string {
  try {
    const file = join(folder, 'redis.log');
    const size = statSync(file).size;
    const length = Math.min(size, LOG_TAIL_BYTES);
    const buffer = Buffer.alloc(length);
    const fd = openSync(file, 'r');
    try {
      readSync(fd, buffer, 0, length, size - length);
    } finally {
      closeSync(fd);
    }
    return buffer.toString('utf8').trim();
  } catch {
    return ''; // No log is an answer too: the process died before it opened one.
  }
}

/** Runs `use` with a short-lived connection that neither retries nor queues, and closes it. */
export async function withServer<T>(port: number, options: LocalServerOptions, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({
    host: LOCAL_HOST,
    port,
    protocol: 2,
    password: options.password,
    tls: options.tls ? { ca: readFileSync(options.tls.caFile), servername: 'localhost' } : undefined,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    disableClientInfo: true,
    connectTimeout: CLIENT_TIMEOUT_MS,
    commandTimeout: CLIENT_TIMEOUT_MS,
  });
  redis.on('error', () => undefined); // The rejected command says the same.
  try {
    await redis.connect();
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether the pid is the redis-server of that port: pids are reused, and a state file may be days old. */
export function isThatServer(pid: number, port: number): boolean {
  if (!isAlive(pid)) return false;
  let title: string;
  try {
    title = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    try {
      title = execFileSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' });
    } catch {
      return false;
    }
  }
  // redis-server renames itself to "redis-server 127.0.0.1:17379 [cluster]"; before that the arguments name its folder.
  return title.includes('redis-server') && (title.includes(`:${port}`) || title.includes(`/${port}/redis.conf`));
}

/** Stops the server of that port by its pid; a pid that is something else by now is left alone. */
export async function stopServer(pid: number, port: number): Promise<void> {
  if (!isThatServer(pid, port)) return;
  process.kill(pid, 'SIGTERM');
  process.kill(pid, 'SIGCONT'); // A stopped process sees SIGTERM only once it goes on.
  const deadlineMs = performance.now() + STOP_GRACE_MS;
  while (isThatServer(pid, port)) {
    if (performance.now() > deadlineMs) process.kill(pid, 'SIGKILL');
    await sleep(POLL_MS);
  }
}
