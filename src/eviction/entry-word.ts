/**
 * What `adaptive` knows of an entry, in one word:
 *
 *   │ last use 20 bits, in ticks │ log of the size 7 bits │ class 5 bits, NO_CLASS = the slot is free │
 */
import { AGE_BITS } from './age-bins.ts';

export const CLASS_MASK = 31;
/** Class of what was used once. */
export const NEW = 0;
/** Class of what is not there. */
export const NO_CLASS = CLASS_MASK;
export const SIZE_SHIFT = 5;
/** The largest log of a size. */
export const SIZES = 127;
export const SIZE_MASK = SIZES << SIZE_SHIFT;
export const USE_SHIFT = 32 - AGE_BITS;
