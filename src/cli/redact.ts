/** Nothing that leaves the command holds a password: every text for a person or a program goes through here. */

/** Greedy up to the last @ of the word: a password may itself hold an @ or a slash. */
const USER_INFO = /\b(rediss?:\/\/)[^\s'"]*@/gi;
const PASSWORD_PARAMETER = /([?&]password=)[^&\s'"]*/gi;
/** Shorter ones would take letters out of ordinary words. */
const MIN_SECRET_CHARS = 3;

export class Redactor {
  readonly #secrets = new Set<string>();

  /** Remembers the passwords of an L2 address, as written and percent-decoded, so that they are removed wherever they turn up. */
  addUrl(url: string): void {
    const userInfo = /^rediss?:\/\/(.*)@/is.exec(url)?.[1] ?? '';
    const colon = userInfo.indexOf(':');
    if (colon >= 0) this.#add(userInfo.slice(colon + 1));
    for (const [, value] of url.matchAll(/[?&]password=([^&]*)/gi)) this.#add(value);
  }

  clean(text: string): string {
    let cleaned = text.replace(USER_INFO, '$1***@').replace(PASSWORD_PARAMETER, '$1***');
    for (const secret of this.#secrets) cleaned = cleaned.replaceAll(secret, '***');
    return cleaned;
  }

  #add(secret: string): void {
    const forms = [secret];
    try {
      forms.push(decodeURIComponent(secret));
    } catch {
      // Not percent-encoded: the address is refused later, with a message of its own.
    }
    for (const form of forms) if (form.length >= MIN_SECRET_CHARS) this.#secrets.add(form);
  }
}
