/**
 * The Lua that runs inside Redis. Scripts are short, touch one slot each, and are sent by their SHA-1; a node that does not
 * know one (restart, failover, SCRIPT FLUSH) answers NOSCRIPT and gets the text once.
 */
import { createHash } from 'node:crypto';
import { STAMPS } from '../clock.ts';
import { ENVELOPE, FLAG_TOMBSTONE } from '../codec/envelope.ts';

export interface Script {
  text: string;
  sha: string;
}

const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') });

/** The magic as a Lua string of decimal escapes. */
const LUA_MAGIC = `'${[0, 8, 16, 24].map((shift) => `\\${String((ENVELOPE.magic >>> shift) & 255).padStart(3, '0')}`).join('')}'`;

/** Lua counts from one and both ends are included. */
const VERSION_FROM = ENVELOPE.versionOffset + 1;
const VERSION_TO = ENVELOPE.versionOffset + 8;

/**
 * `stored(key)` gives the version at the key, or nil where there is none of ours: nothing, foreign bytes, a version that no
 * writer of ours makes (not finite, not whole, not above 0, 2^53 or more: it would block the key for ever), or a value of another type.
 */
const STORED = `
local MAGIC = ${LUA_MAGIC}
local function stored(key)
  local head = redis.pcall('GETRANGE', key, 0, ${ENVELOPE.headerBytes - 1})
  if type(head) == 'table' then return nil, head.err or 'no string' end
  if #head < ${ENVELOPE.headerBytes} or string.sub(head, 1, #MAGIC) ~= MAGIC then return nil end
  local version = struct.unpack('<d', string.sub(head, ${VERSION_FROM}, ${VERSION_TO}))
  if not (version > 0 and version < 9007199254740992 and version % 1 == 0) then return nil end
  return version, nil, head
end
`;

/**
 * Compare-and-set of the keys of one slot.
 * KEYS: the keys. ARGV: deadline (ms, clock of this node), channel, the slot's clear floor, then for each key: envelope, ttl in ms, event or ''.
 * The floor is no key of the command: it is absent nearly always, and while a slot moves to another node, a command of several keys
 * of which one is absent is refused (TRYAGAIN). Where it is on the other node, it cannot be read and counts as none.
 * Past the deadline nothing is done: the caller has reported the write as failed, and it may have waited in a socket of a
 * stopped process since. SET and PUBLISH happen in one script, so the event is out if and only if the write took effect.
 * A version from beyond tomorrow, by the clock of the node and by the stamp of the write too (either may be wrong by itself), is damage or
 * forgery that no reader believes, and is overwritten: it would keep every update of its wallet out until its time to live is over.
 * Reply: 'L<now>' when late, else for each key 1 stored, 2 stored over what was no record of ours, 'O<version>' older, 'E<error>'.
 */
export const WRITE_SCRIPT = script(`${STORED}
local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
if nowMs > tonumber(ARGV[1]) then return 'L' .. string.format('%.0f', nowMs) end
local tomorrow = (nowMs - ${STAMPS.epochMs} + ${STAMPS.maxSkewMs}) * ${STAMPS.perMs}
local out = {}
local floor = redis.pcall('GET', ARGV[3])
local cleared = type(floor) == 'string' and #floor == 8 and struct.unpack('<d', floor) or 0
for i = 1, #KEYS do
  local envelope, ttlMs, event = ARGV[3 * i + 1], ARGV[3 * i + 2], ARGV[3 * i + 3]
  local version = struct.unpack('<d', string.sub(envelope, ${VERSION_FROM}, ${VERSION_TO}))
  local current, problem, head = stored(KEYS[i])
  local damaged = current and current > tomorrow and current > version + ${STAMPS.maxSkewMs * STAMPS.perMs}
  if damaged then current = nil end
  if problem and not string.find(problem, 'WRONGTYPE', 1, true) then
    out[i] = 'E' .. problem
  elseif version <= cleared and not (current and current > cleared) then
    out[i] = 'O' .. floor
  elseif current and not (current < version) then
    out[i] = 'O' .. string.sub(head, ${VERSION_FROM}, ${VERSION_TO})
  else
    if problem then redis.pcall('UNLINK', KEYS[i]) end
    local done = redis.pcall('SET', KEYS[i], envelope, 'PX', ttlMs)
    if type(done) == 'table' and done.err then
      out[i] = 'E' .. done.err
    else
      out[i] = (problem or damaged) and 2 or 1
      if event ~= '' then
        local published = redis.pcall('PUBLISH', ARGV[2], event)
        if type(published) == 'table' and published.err then out[i] = 'E' .. published.err end
      end
    end
  end
end
return out
`);

/**
 * Removes those keys of one slot that hold a profile of at most the given version. Tombstones stay: they guard against late
 * writes and expire by themselves. KEYS: the keys. ARGV: version as 8 bytes (float64, little-endian). Reply: how many went.
 */
export const CLEAR_SCRIPT = script(`${STORED}
local limit = struct.unpack('<d', ARGV[1])
local removed = 0
for i = 1, #KEYS do
  local version, problem, head = stored(KEYS[i])
  if version and version <= limit then
    local flags = string.byte(head, ${ENVELOPE.flagsOffset + 1})
    if math.floor(flags / ${FLAG_TOMBSTONE}) % 2 == 0 then removed = removed + redis.call('UNLINK', KEYS[i]) end
  end
end
return removed
`);

/**
 * Raises the clear floor of a slot: for a while WRITE_SCRIPT takes nothing there that is not newer.
 * KEYS: floor. ARGV: version as 8 bytes (float64, little-endian), time to live in ms.
 */
export const FLOOR_SCRIPT = script(`
local floor = redis.pcall('GET', KEYS[1])
if type(floor) == 'string' and #floor == 8 and struct.unpack('<d', floor) > struct.unpack('<d', ARGV[1]) then return redis.call('SET', KEYS[1], floor, 'PX', ARGV[2]) end
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
`);

/**
 * Takes a lease that was given back, or renews it for the token that holds it; with 1 as the last argument takes it as well when it is not there.
 * KEYS: lease. ARGV: token, time to live in ms, 0 or 1. Reply: 1 when the token holds it, 0 when another does, 2 when nobody does.
 */
export const LEASE_SCRIPT = script(`
local holder = redis.pcall('GET', KEYS[1])
if not holder and ARGV[3] == '0' then return 2 end
if holder and holder ~= '' and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`);

/**
 * Gives a lease back if it is still held by this token. For a while that can be seen (an empty value): who waits for it must be able to tell it
 * from a lease that was lost. KEYS: lease. ARGV: token, time to live of that in ms.
 */
export const RELEASE_SCRIPT = script(`
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '', 'PX', ARGV[2])
return 1
`);
