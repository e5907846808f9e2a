using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ModelSdk.Runtime.Kernels;

/// <summary>
/// modelsdk.AdaptedLinear1, 2 and 3 for the processor: a quantized linear of so many modules with its adapter, W x + bias + B (A x). Graphs carry a body of standard nodes for each
/// (ONNX's model-local functions), which ONNX Runtime puts in its place where this kernel is not registered.
/// Inputs: x [.., K]; W, its scales and its bias or none; A, its scales; B and its scales of each module. Layouts are those of MatMulNBits.
/// </summary>
internal static unsafe class AdaptedLinearOperator
{
    /// <summary>Domain of the operators.</summary>
    public const string DomainName = "modelsdk";

    /// <summary>The same for ONNX Runtime, zero-terminated.</summary>
    public static ReadOnlySpan<byte> Domain => "modelsdk\0"u8;

    /// <summary>Names, of one module first.</summary>
    public static readonly string[] Names = ["AdaptedLinear1", "AdaptedLinear2", "AdaptedLinear3"];

    private const int FirstB = 6;

    /// <summary>Creates the operators.</summary>
    /// <param name="threads">Threads of the sessions that they are for.</param>
    public static nint[] New(int threads)
    {
        ReadOnlySpan<int> types =
        [
            OrtOperator.Float, OrtOperator.Byte, OrtOperator.Float, OrtOperator.Float, OrtOperator.Byte, OrtOperator.Float,
            OrtOperator.Byte, OrtOperator.Float, OrtOperator.Byte, OrtOperator.Float, OrtOperator.Byte, OrtOperator.Float,
        ];
        const uint bias = 0b1000;
        return
        [
            (nint)OrtOperator.New("AdaptedLinear1\0"u8, types[..(FirstB + 2)], bias, &Create, &Compute, &Destroy, threads),
            (nint)OrtOperator.New("AdaptedLinear2\0"u8, types[..(FirstB + 4)], bias, &Create, &Compute, &Destroy, threads),
            (nint)OrtOperator.New("AdaptedLinear3\0"u8, types[..(FirstB + 6)], bias, &Create, &Compute, &Destroy, threads),
        ];
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* Create(void* operation, void* api, void* info, void** kernel)
    {
        try
        {
            int rank = (int)OrtFunctions.Attribute(info, "lora_rank\0"u8, 0);
            bool rounds = OrtFunctions.Attribute(info, "lora_accuracy_level\0"u8, 0) == 4;
            BlockProductShape weight = OrtOperator.Shape(info);
            BlockProductShape down = new((int)OrtFunctions.Attribute(info, "lora_A_rows\0"u8, 0), weight.Columns, 8, (int)OrtFunctions.Attribute(info, "lora_A_block\0"u8, 0), rounds);
            down.Check();
            AdaptedProductNode node = new() { Weight = weight, Down = down, Threads = OrtOperator.Data(operation) };
            for (; node.Modules < Names.Length; node.Modules++)
            {
                int rows = (int)OrtFunctions.Attribute(info, node.Modules switch { 0 => "rows_0\0"u8, 1 => "rows_1\0"u8, _ => "rows_2\0"u8 }, 0);
                if (rows == 0)
                    break;
                BlockProductShape up = new(rows, rank, 8, (int)OrtFunctions.Attribute(info, "lora_B_block\0"u8, 0), rounds);
                up.Check();
                node.Up[node.Modules] = up;
            }

            AdaptedProductNode* kept = (AdaptedProductNode*)NativeMemory.Alloc((nuint)sizeof(AdaptedProductNode));
            *kept = node;
            *kernel = kept;
            return null;
        }
        catch (Exception e)
        {
            return OrtFunctions.Failure(e.Message);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* Compute(void* kernel, void* context)
    {
        try
        {
            AdaptedProductNode* node = (AdaptedProductNode*)kernel;
            int rows = OrtOperator.Rows(context, node->Weight, out float* input, out float* output);
            void* bias = OrtFunctions.Input(context, 3);
            AdaptedOperands operands = new()
            {
                Input = input,
                Inputs = rows,
                Codes = (byte*)OrtFunctions.Data(OrtFunctions.Input(context, 1)),
                Scales = (float*)OrtFunctions.Data(OrtFunctions.Input(context, 2)),
                Bias = bias is null ? null : (float*)OrtFunctions.Data(bias),
                DownCodes = (byte*)OrtFunctions.Data(OrtFunctions.Input(context, 4)),
                DownScales = (float*)OrtFunctions.Data(OrtFunctions.Input(context, 5)),
                Output = output,
            };
            for (int i = 0; i < node->Modules; i++)
            {
                operands.UpCodes[i] = (nint)OrtFunctions.Data(OrtFunctions.Input(context, (nuint)(FirstB + 2 * i)));
                operands.UpScales[i] = (nint)OrtFunctions.Data(OrtFunctions.Input(context, (nuint)(FirstB + 2 * i + 1)));
            }

            AdaptedProduct.Run(*node, operands, context);
            return null;
        }
        catch (Exception e)
        {
            return OrtFunctions.Failure(e.Message);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Destroy(void* kernel) => NativeMemory.Free(kernel);
}
