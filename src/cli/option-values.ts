/** Options that several commands share, and how the text of an option becomes a value. */
import { InvalidArgumentError, Option } from 'commander';
import { ProfileCacheError } from '../errors.ts';

export const DEFAULT_L2 = 'file:.profilecache';
/** The library waits a quarter of a second for L2, as suits a service; a batch rather waits than profiles again. */
export const DEFAULT_L2_TIMEOUT_MS = 2_000;

export interface L2CommandOptions {
  l2: string;
  l2Timeout: number;
}

/** Not given to commander as an `env` default: its messages would repeat the value, and that may hold a password. */
export const l2Option = (): Option =>
  new Option('--l2 <url>', `where profiles are kept (default: $PROFILECACHE_L2, else ${DEFAULT_L2})`);

export const l2TimeoutOption = (): Option =>
  new Option('--l2-timeout <ms>', 'longest wait for an L2 operation').argParser(wholeNumber(1, 600_000)).default(DEFAULT_L2_TIMEOUT_MS);

export const l2Url = (given: string | undefined): string => given ?? (process.env.PROFILECACHE_L2 || DEFAULT_L2);

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^-?\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It is a whole number from ${min} to ${max}.`);
  };
}

export function numberFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It is a number from ${min} to ${max}.`);
  };
}

/** For commands that ask what earlier ones left: without an L2 there is nothing to ask. */
export function requireL2(url: string, command: string): string {
  if (url !== 'none:' && url !== 'none') return url;
  throw new ProfileCacheError('ERR_USAGE', `${command}: an L2 of none: keeps nothing between two commands; give --l2 file:./folder or --l2 redis://host:port`, { option: 'l2' });
}
