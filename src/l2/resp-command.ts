/** Commands as Redis reads them (RESP2): a list of strings with their lengths in bytes. */
export type Arg = string | Buffer | number;

/** One string where all arguments are text, which a socket encodes on its way out; else one Buffer. */
export function encodeCommand(name: string, args: readonly Arg[]): string | Buffer {
  return args.some((arg) => typeof arg === 'object') ? encodeBytes(name, args) : encodeText(name, args as readonly (string | number)[]);
}

/** The head of one argument; its bytes and CRLF follow. */
export const argHead = (bytes: number): string => `$${bytes}\r\n`;
export const commandHead = (args: number): string => `*${args}\r\n`;

function encodeText(name: string, args: readonly (string | number)[]): string {
  let text = `${commandHead(args.length + 1)}${argHead(name.length)}${name}\r\n`;
  for (const arg of args) {
    const value = typeof arg === 'number' ? String(arg) : arg;
    text += `${argHead(Buffer.byteLength(value))}${value}\r\n`;
  }
  return text;
}

function encodeBytes(name: string, args: readonly Arg[]): Buffer {
  // Heads are at most 13 bytes, line ends two.
  let room = 32 + name.length;
  for (const arg of args) room += 16 + (typeof arg === 'object' ? arg.length : typeof arg === 'number' ? 24 : 3 * arg.length);
  const bytes = Buffer.allocUnsafe(room);
  let at = bytes.write(`${commandHead(args.length + 1)}${argHead(name.length)}${name}\r\n`, 0, 'latin1');
  for (const arg of args) {
    if (typeof arg === 'object') {
      at += bytes.write(argHead(arg.length), at, 'latin1');
      bytes.set(arg, at);
      at += arg.length;
    } else {
      const value = typeof arg === 'number' ? String(arg) : arg;
      at += bytes.write(argHead(Buffer.byteLength(value)), at, 'latin1');
      at += bytes.write(value, at, 'utf8');
    }
    bytes[at++] = 13;
    bytes[at++] = 10;
  }
  return bytes.subarray(0, at);
}
