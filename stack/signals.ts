/** Until somebody wants this process to end. */
export const untilSignal = (): Promise<void> =>
  new Promise((done) => {
    const timer = setInterval(() => {}, 60_000);
    const end = () => {
      clearInterval(timer);
      done();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, end);
  });
