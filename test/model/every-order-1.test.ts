import { everyOrder } from './every-order.ts';

everyOrder(0);
