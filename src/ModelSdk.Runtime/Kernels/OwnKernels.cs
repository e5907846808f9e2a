using Microsoft.ML.OnnxRuntime;

namespace ModelSdk.Runtime.Kernels;

/// <summary>Registers the kernels of our own with sessions of ONNX Runtime.</summary>
internal static unsafe class OwnKernels
{
    /// <summary>OrtCustomOpDomain* by number of threads. Sessions use them as long as they live, so they are never released.</summary>
    private static readonly Dictionary<int, nint[]> Domains = [];

    /// <summary>Whether this processor has the instructions. Where it has not, ONNX Runtime's kernels are used.</summary>
    public static bool IsSupported => BlockProduct.IsSupported;

    /// <summary>Registers the kernels; does nothing where they are not supported.</summary>
    /// <param name="options">Options of the session to be created.</param>
    /// <param name="threads">Threads of the session.</param>
    public static void AddTo(SessionOptions options, int threads)
    {
        if (!IsSupported)
            return;
        foreach (nint domain in DomainsOf(threads))
            OrtFunctions.AddDomain(options.DangerousGetHandle(), (void*)domain);
        GC.KeepAlive(options);
    }

    private static nint[] DomainsOf(int threads)
    {
        lock (Domains)
        {
            if (!Domains.TryGetValue(threads, out nint[]? domains))
            {
                domains =
                [
                    (nint)OrtFunctions.CreateDomain("com.microsoft\0"u8, [MatMulNBitsOperator.New(threads)]),
                    (nint)OrtFunctions.CreateDomain(AdaptedLinearOperator.Domain, AdaptedLinearOperator.New(threads)),
                ];
                Domains.Add(threads, domains);
            }

            return domains;
        }
    }
}
