import { describe, expect, test } from 'vitest';
import { ProfileCacheError } from '../../src/errors.ts';
import { WalletKey, checkWallet, type WalletPattern } from '../../src/l1/wallet-key.ts';

function refusal(wallet: unknown, pattern?: WalletPattern): ProfileCacheError | undefined {
  try {
    checkWallet(wallet, pattern);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ProfileCacheError);
    expect((error as ProfileCacheError).code).toBe('ERR_WALLET');
    return error as ProfileCacheError;
  }
}

describe('what a wallet may be', () => {
  test.each([
    'a', ' ', '\0', '__proto__', 'constructor', '{a}b', 'a:b', '💸', 'é', '\u{10ffff}', 'x'.repeat(1024), 'é'.repeat(512), '€'.repeat(341) + 'a', '💸'.repeat(256),
  ])('%j is taken', (wallet) => expect(refusal(wallet)).toBe(undefined));

  test.each([
    ['', /not empty/],
    ['x'.repeat(1025), /at most 1024 bytes.* 1025/],
    ['é'.repeat(512) + 'a', /this one has 1025/],
    ['€'.repeat(342), /this one has 1026/],
    ['💸'.repeat(256) + 'a', /this one has 1025/],
    ['x'.repeat(10_000_000), /at most 1024/],
    ['a\ud800', /lone surrogate/],
    ['\udc00a', /lone surrogate/],
    ['\udcb8\ud83d', /lone surrogate/],
    [undefined, /not undefined/],
    [null, /not null/],
    [7, /not number/],
    [Symbol('w'), /not symbol/],
    [Object('boxed'), /not object/],
    [['a'], /not object/],
  ])('%# is refused and the error says why', (wallet, why) => {
    const error = refusal(wallet);
    expect(error?.message).toMatch(why);
    // A message is for a log: it does not repeat ten megabytes.
    expect(error?.message.length).toBeLessThan(500);
  });
});

describe('a pattern narrows it', () => {
  const address = '9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin';
  test('base58', () => {
    expect(refusal(address, 'base58')).toBe(undefined);
    for (const bad of [address.slice(0, 31), `${address}1`, `0${address.slice(1)}`, `l${address.slice(1)}`, ` ${address.slice(1)}`, `${address.slice(1)}\n`]) {
      expect(refusal(bad, 'base58')).toMatchObject({ option: 'walletPattern', wallet: bad });
    }
  });
  test('a RegExp, and its lastIndex does not matter', () => {
    const sticky = /^w\d$/gy;
    for (let i = 0; i < 4; i++) expect(refusal('w1', sticky)).toBe(undefined);
    for (let i = 0; i < 4; i++) expect(refusal('w12', sticky)?.message).toMatch(/does not match/);
  });
});

test('the bytes are the UTF-8 of the wallet, whatever was in the key before', () => {
  const key = new WalletKey(1, 2);
  for (const wallet of ['x'.repeat(1024), 'a', 'é💸', '💸'.repeat(256), 'ascii', '\u007f', '\u0080', '€a']) {
    key.set(wallet);
    expect(Buffer.from(key.bytes.subarray(0, key.length)).toString('hex')).toBe(Buffer.from(wallet).toString('hex'));
    expect(key.hash).toBe(new WalletKey(1, 2).set(wallet).hash);
    expect(key.hash).not.toBe(new WalletKey(1, 3).set(wallet).hash);
  }
});
