import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress, replyError, verdictOf } from '../../src/l2/redis-errors.ts';

const NODE = '10.0.0.1:6379';
const reply = (message: string) => verdictOf(new Error(message), NODE);

describe('what an error of Redis means', () => {
  it('redirects', () => {
    expect(reply('MOVED 3999 127.0.0.1:6381')).toEqual({ kind: 'moved', slot: 3_999, host: '127.0.0.1', port: 6_381 });
    expect(reply('ASK 0 example.org:7000')).toEqual({ kind: 'ask', slot: 0, host: 'example.org', port: 7_000 });
    // An empty host, or ?, is the node that said so.
    expect(reply('MOVED 16383 :6381')).toEqual({ kind: 'moved', slot: 16_383, host: '10.0.0.1', port: 6_381 });
    expect(reply('MOVED 1 ?:6381')).toMatchObject({ host: '10.0.0.1' });
    expect(reply('MOVED 1 2001:db8::1:6381')).toMatchObject({ host: '2001:db8::1', port: 6_381 });
    expect(parseAddress('[::1]:6381', NODE)).toEqual({ host: '::1', port: 6_381 });
  });

  it.each(['MOVED 16384 1.2.3.4:1', 'MOVED -1 1.2.3.4:1', 'MOVED __proto__ 1.2.3.4:1', 'MOVED 1.5 1.2.3.4:1', 'MOVED 1 1.2.3.4:99999', 'MOVED 1 nothing', 'MOVED', 'ASK 1'])('%s is no redirect that is followed', (message) => {
    expect(reply(message)).toMatchObject({ kind: 'fatal', error: { code: 'ERR_L2_UNAVAILABLE' } });
  });

  it.each([
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'split'],
    ["CROSSSLOT Keys in request don't hash to the same slot", 'split'],
    ['NOSCRIPT No matching script. Please use EVAL.', 'noscript'],
    ['LOADING Redis is loading the dataset in memory', 'later'],
    ["READONLY You can't write against a read only replica.", 'later'],
    ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'later'],
    ['Connection is closed.', 'lost'],
    ["Stream isn't writeable and enableOfflineQueue options is false", 'lost'],
    ['Command aborted due to connection close', 'lost'],
  ])('%s: %s', (message, kind) => {
    expect(reply(message)).toEqual({ kind });
  });

  it('errors of the system are a lost connection', () => {
    expect(verdictOf(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), NODE)).toEqual({ kind: 'lost' });
  });

  it.each([
    ['WRONGPASS invalid username-password pair or user is disabled.', 'ERR_L2_AUTH'],
    ['NOAUTH Authentication required.', 'ERR_L2_AUTH'],
    ["NOPERM this user has no permissions to run the 'eval' command", 'ERR_L2_AUTH'],
    ["ERR The user executing the script can't run this command or subcommand script: 1f, on @user_script:6.", 'ERR_L2_AUTH'],
    ['CLUSTERDOWN Hash slot not served', 'ERR_L2_UNAVAILABLE'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'ERR_L2_STORAGE'],
    ['MISCONF Redis is configured to save RDB snapshots', 'ERR_L2_STORAGE'],
  ])('%s: %s', (message, code) => {
    expect(reply(message)).toMatchObject({ kind: 'fatal', error: { code, node: NODE } });
  });

  it('any text gives a verdict, and a message of bounded length', () => {
    fc.assert(fc.property(fc.string({ maxLength: 5_000 }), fc.constantFrom('', 'MOVED ', 'ASK 1 ', 'ERR '), (text, prefix) => {
      const verdict = reply(prefix + text);
      if (verdict.kind === 'moved' || verdict.kind === 'ask') {
        expect(Number.isInteger(verdict.slot) && verdict.slot >= 0 && verdict.slot < 16_384 && verdict.port > 0 && verdict.port < 65_536).toBe(true);
      }
      expect(replyError(prefix + text, NODE).message.length).toBeLessThan(500);
    }));
  });
});
