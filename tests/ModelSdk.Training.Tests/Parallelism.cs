// One test at a time: Torch spreads each over all cores as it is, and a collection of garbage that another thread's test starts
// may finalize a temporary of TorchSharp while a native call still reads it (TorchSharp keeps the handle alone during the call).
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]
