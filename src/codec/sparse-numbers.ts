/**
 * Objects with fields that are numbers. The engine may hold room for all numbers up to the first of them: 4 KB for the six bytes of
 * `{"322": 0}`. One far number, and it keeps this object's numbered fields in a table.
 */
import { spend } from './cursor.ts';
import { setOwnField } from './own-fields.ts';
import { WORK } from './work-budget.ts';

/** The last name that counts as a number. */
const FAR_NUMBER = '4294967294';

/** Before the first numbered field. @returns true: it has been done */
export function keepNumbersSparse(object: Record<string, unknown>): true {
  spend(WORK.numberedField);
  setOwnField(object, FAR_NUMBER, 0);
  delete object[FAR_NUMBER];
  return true;
}
