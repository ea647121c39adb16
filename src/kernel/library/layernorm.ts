/** Layer norm of rows: mean and variance over the columns, gain and bias per column. */
import { normKernel } from './norm_rows.js';

export const layernorm = normKernel('layer', 'out = (h − mean h)/√(var h + ε)·weight + bias, h = x (+ residual)');
