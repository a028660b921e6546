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

/** Lua counts from one and both ends are included. */
const VERSION_FROM = ENVELOPE.versionOffset + 1;
const VERSION_TO = ENVELOPE.versionOffset + 8;

/** What a Lua `unpack('<I4…d', head)` gives first for an envelope of ours. */
const HEAD_FORMAT = `<I4${'x'.repeat(ENVELOPE.versionOffset - 4)}d`;

/**
 * `stored(key)` gives the version at the key, or nil where there is none of ours: nothing, foreign bytes, a version that no
 * writer of ours makes (not finite, not whole, not above 0, 2^53 or more: it would block the key for ever), or a value of another type.
 * Numbers are given to commands as text: Lua's own way of making text of them costs more than the lookup.
 */
const STORED = `
local call, pcall, unpack, type = redis.call, redis.pcall, struct.unpack, type
local function stored(key)
  local head = pcall('GETRANGE', key, '0', '${ENVELOPE.headerBytes - 1}')
  if type(head) == 'table' then return nil, head.err or 'no string' end
  if #head < ${ENVELOPE.headerBytes} then return nil end
  local magic, version = unpack('${HEAD_FORMAT}', head)
  if magic ~= ${ENVELOPE.magic} or not (version > 0 and version < 9007199254740992 and version % 1 == 0) then return nil end
  return version, nil, head
end
`;

/**
 * Compare-and-set of the keys of one slot.
 * KEYS: the keys. ARGV: deadline (ms, clock of this node), channel, the slot's clear floor, the newest clear that the writer knows of ('' where
 * it is not to be asked), then for each key: envelope, ttl in ms, event or ''.
 * The floor is no key of the command: it is absent nearly always, and while a slot moves to another node, a command of several keys
 * of which one is absent is refused (TRYAGAIN). Where it is on the other node, it cannot be read and counts as none.
 * Past the deadline nothing is done: the caller has reported the write as failed, and it may have waited in a socket of a
 * stopped process since. SET and PUBLISH happen in one script, so the event is out if and only if the write took effect.
 * A version from beyond tomorrow, by the clock of the node and by the stamp of the write too (either may be wrong by itself), is damage or
 * forgery that no reader believes, and is overwritten: it would keep every update of its wallet out until its time to live is over.
 * Who does not know of the clear is refused whatever the stamp is: it may have been written before the clear, by a calendar that is ahead.
 * Reply: 'L<now>' when late; the number of keys where each is 1; else for each key 1 stored, 2 stored over what was no record of ours,
 * 'O<version>' older, 'C<version>' older than a clear, 'E<error>'.
 */
export const WRITE_SCRIPT = script(`${STORED}
local KEYS, ARGV = KEYS, ARGV
local time = call('TIME')
local nowMs = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
if nowMs > tonumber(ARGV[1]) then return 'L' .. string.format('%.0f', nowMs) end
local tomorrow = (nowMs - ${STAMPS.epochMs} + ${STAMPS.maxSkewMs}) * ${STAMPS.perMs}
local channel = ARGV[2]
local floor = pcall('GET', ARGV[3])
local cleared = type(floor) == 'string' and #floor == 8 and unpack('<d', floor) or 0
if cleared > tomorrow then cleared = 0 end
local isUnaware = cleared > 0 and cleared > (tonumber(ARGV[4]) or math.huge)
local function write(key, envelope, ttlMs, event)
  local version = unpack('<d', envelope, ${VERSION_FROM})
  local current, problem, head = stored(key)
  local outcome = 1
  if isUnaware then return 'C' .. floor end
  if current then
    if current > tomorrow and current > version + ${STAMPS.maxSkewMs * STAMPS.perMs} then
      current, outcome = nil, 2
    elseif version <= cleared and current <= cleared then
      return 'C' .. floor
    elseif not (current < version) then
      return 'O' .. string.sub(head, ${VERSION_FROM}, ${VERSION_TO})
    end
  elseif problem then
    if not string.find(problem, 'WRONGTYPE', 1, true) then return 'E' .. problem end
    outcome = 2
  end
  if version <= cleared and not current then return 'C' .. floor end
  if problem then pcall('UNLINK', key) end
  local done = pcall('SET', key, envelope, 'PX', ttlMs)
  if done.err then return 'E' .. done.err end
  if event ~= '' then
    local published = pcall('PUBLISH', channel, event)
    if type(published) == 'table' and published.err then return 'E' .. published.err end
  end
  return outcome
end
local out
for i = 1, #KEYS do
  local outcome = write(KEYS[i], ARGV[3 * i + 2], ARGV[3 * i + 3], ARGV[3 * i + 4])
  if outcome ~= 1 and not out then
    out = {}
    for k = 1, i - 1 do out[k] = 1 end
  end
  if out then out[i] = outcome end
end
return out or #KEYS
`);

/**
 * Removes those keys of one slot that hold a profile of at most the given version, or of one that nobody believes (see above). Tombstones
 * stay: they guard against late writes and expire by themselves. KEYS: the keys. ARGV: version as 8 bytes (float64, little-endian).
 * Reply: the highest version of a profile that it left, as 8 bytes too; of 0 when it left none.
 */
export const CLEAR_SCRIPT = script(`${STORED}
local limit = struct.unpack('<d', ARGV[1])
local time = call('TIME')
local tomorrow = (tonumber(time[1]) * 1000 - ${STAMPS.epochMs} + ${STAMPS.maxSkewMs}) * ${STAMPS.perMs}
local highest = 0
for i = 1, #KEYS do
  local version, problem, head = stored(KEYS[i])
  if version and math.floor(string.byte(head, ${ENVELOPE.flagsOffset + 1}) / ${FLAG_TOMBSTONE}) % 2 == 0 then
    if version <= limit or version > tomorrow then call('UNLINK', KEYS[i])
    elseif version > highest then highest = version end
  end
end
return struct.pack('<d', highest)
`);

/**
 * Raises the clear floor of a slot: for a while WRITE_SCRIPT takes nothing there that is not newer.
 * KEYS: floor. ARGV: version as 8 bytes (float64, little-endian), time to live in ms. Reply: the floor that stands, in the same form.
 */
export const FLOOR_SCRIPT = script(`
local floor = redis.pcall('GET', KEYS[1])
local highest = struct.unpack('<d', ARGV[1])
if type(floor) == 'string' and #floor == 8 then
  local known = struct.unpack('<d', floor)
  local time = redis.call('TIME')
  if known > highest and known <= (tonumber(time[1]) * 1000 - ${STAMPS.epochMs} + ${STAMPS.maxSkewMs}) * ${STAMPS.perMs} then highest = known end
end
floor = struct.pack('<d', highest)
redis.call('SET', KEYS[1], floor, 'PX', ARGV[2])
return floor
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
