using System.Runtime.InteropServices;
using ModelSdk.Onnx.Quantization;
using TorchSharp;

namespace ModelSdk.Training;

/// <summary>Where and how precisely the transformer computes. Parameters are always fp32; this is about activations and products.</summary>
/// <param name="Type">Type of products and activations: float32 or bfloat16.</param>
/// <param name="Device">Device; null: CPU.</param>
public sealed record ComputeOptions(torch.ScalarType Type, torch.Device? Device = null)
{
    /// <summary>
    /// Keys and values are rounded as a quantized cache with these scales stores them, and gradients pass as if they were not: what training and decoding over such
    /// a cache do, without its speed. Null: they stay in <see cref="Type"/>. Default null.
    /// </summary>
    public KeyValueScales? Cache { get; init; }

    /// <summary>True: Torch's own operators only, also where kernels could run; the form that kernels are tested against.</summary>
    internal bool Composed { get; init; }

    /// <summary>fp32 on the CPU: exact enough for parity and for tests.</summary>
    public static ComputeOptions Full { get; } = new(torch.ScalarType.Float32);

    /// <summary>bf16 on the CPU.</summary>
    public static ComputeOptions BFloat16 { get; } = new(torch.ScalarType.BFloat16);

    /// <summary>What trains fastest here: bf16 where the CPU has AVX512-BF16 (products are 4 to 5 times as fast), else fp32.</summary>
    public static ComputeOptions Fastest => CpuHasBFloat16 ? BFloat16 : Full;

    /// <summary>Whether this CPU multiplies bf16 in hardware (CPUID leaf 7, subleaf 1, EAX bit 5).</summary>
    public static bool CpuHasBFloat16 { get; } = DetectBFloat16();

    private static bool DetectBFloat16()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64 || !System.Runtime.Intrinsics.X86.X86Base.IsSupported || !System.Runtime.Intrinsics.X86.Avx512F.IsSupported)
        {
            return false;
        }

        var (highest, _, _, _) = System.Runtime.Intrinsics.X86.X86Base.CpuId(0, 0);
        return highest >= 7 && (System.Runtime.Intrinsics.X86.X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0;
    }
}
