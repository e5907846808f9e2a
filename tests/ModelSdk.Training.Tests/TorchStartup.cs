using System.Runtime.CompilerServices;

namespace ModelSdk.Training.Tests;

/// <summary>Tests run in any order, and some touch TorchSharp before they touch the library.</summary>
internal static class TorchStartup
{
#pragma warning disable CA2255 // The test assembly is an application.
    [ModuleInitializer]
    internal static void Load() => TorchLibrary.EnsureLoaded();
#pragma warning restore CA2255
}
