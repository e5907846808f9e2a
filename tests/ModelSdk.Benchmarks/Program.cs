using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

using ModelSdk.Benchmarks;

// dotnet run -c Release --project tests/ModelSdk.Benchmarks -- BUNDLE [BenchmarkDotNet options, e.g. --filter *Decode*]
// The bundle may also be given by the environment variable MODELSDK_BUNDLE.
string[] rest = args;
if (args.Length > 0 && Directory.Exists(args[0]))
{
    BundleUnderTest.Folder = args[0];
    rest = args[1..];
}

if (!Directory.Exists(BundleUnderTest.Folder))
{
    Console.Error.WriteLine("Which bundle? Give its folder as the first argument or in MODELSDK_BUNDLE, e.g. samples/MathTutor/bin/Debug/net10.0/models/tutor.");
    return 2;
}

// In this process: the bundle's folder and the engine's library are already in place.
IConfig config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
BenchmarkSwitcher.FromAssembly(typeof(BundleUnderTest).Assembly).Run(rest.Length == 0 ? ["--filter", "*"] : rest, config);
return 0;
