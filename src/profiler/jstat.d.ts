/** The part of jstat that is used; the package brings no types. */
declare module 'jstat' {
  const jStat: {
    beta: {
      /** Quantile: x with P(X <= x) = p for X ~ Beta(alpha, beta). */
      inv(p: number, alpha: number, beta: number): number;
      cdf(x: number, alpha: number, beta: number): number;
    };
  };
  export default jStat;
}
