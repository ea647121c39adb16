/** RMS norm of rows (Zhang & Sennrich 2019): mean square over the columns, gain per column. */
import { normKernel } from './norm_rows.js';

export const rmsnorm = normKernel('rms', 'out = h/√(mean h² + ε)·weight, h = x (+ residual)');
