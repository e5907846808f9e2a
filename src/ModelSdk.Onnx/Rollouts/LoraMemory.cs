using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;

namespace ModelSdk.Onnx.Rollouts;

/// <summary>Memory of the LoRA inputs of a rollout graph. Its addresses never change, so what is bound once is read anew by every run.</summary>
internal sealed unsafe class LoraMemory : IDisposable
{
    private readonly int _rank;
    private readonly Dictionary<string, Place> _places = new(StringComparer.Ordinal);
    private readonly List<(string Name, OrtValue Value)> _inputs = [];
    private readonly List<nint> _blocks = [];

    /// <summary>Allocates zeros: an adapter that changes nothing.</summary>
    /// <param name="model">Base weights.</param>
    /// <param name="targets">Short names of the adapted linears.</param>
    /// <param name="rank">Rank of each.</param>
    public LoraMemory(QuantizedModel model, IReadOnlyCollection<string> targets, int rank)
    {
        _rank = rank;
        for (int layer = 0; layer < model.Architecture.Layers; layer++)
        {
            foreach ((string fused, string[] modules) in TensorNames.Linears)
            {
                string[] adapted = [.. modules.Where(m => targets.Contains(m[(m.LastIndexOf('.') + 1)..]))];
                if (adapted.Length == 0)
                    continue;
                string name = TensorNames.Layer(layer, fused);
                int inner = adapted.Length * rank;
                int columns = model.Weight(TensorNames.Layer(layer, modules[0]) + ".weight").Columns;
                int rows = modules.Sum(m => model.Weight(TensorNames.Layer(layer, m) + ".weight").Rows);
                float* a = Add(LoraInputs.A(name), columns, inner);
                float* b = Add(LoraInputs.B(name), inner, rows);
                int firstRow = 0;
                foreach (string module in modules)
                {
                    string full = TensorNames.Layer(layer, module);
                    int moduleRows = model.Weight(full + ".weight").Rows;
                    int place = Array.IndexOf(adapted, module);
                    if (place >= 0)
                        _places.Add(full, new Place(a, b, columns, moduleRows, inner, rows, place * rank, firstRow));
                    firstRow += moduleRows;
                }
            }
        }
    }

    /// <summary>The graph's inputs by name.</summary>
    public IReadOnlyList<(string Name, OrtValue Value)> Inputs => _inputs;

    /// <summary>Writes an adapter's values.</summary>
    /// <exception cref="ExportException">MDL4012: the linears are not those of the graph; MDL4002: they hold NaN or infinity.</exception>
    public void Set(LoraAdapter adapter) => Set(adapter.Linears.ToDictionary(l => l.Key, l => (l.Value.A, l.Value.B), StringComparer.Ordinal), adapter.Scale);

    /// <summary>Writes an adapter's values.</summary>
    /// <param name="linears">A [r, in] and B [out, r] by module name, for every adapted linear.</param>
    /// <param name="scale">alpha / r.</param>
    /// <exception cref="ExportException">MDL4012: the linears are not those of the graph; MDL4002: they hold NaN or infinity.</exception>
    public void Set(IReadOnlyDictionary<string, (float[] A, float[] B)> linears, double scale)
    {
        if (linears.Count != _places.Count || !linears.Keys.All(_places.ContainsKey))
            throw new ExportException(DiagnosticCodes.AdapterDoesNotFit, $"The adapter changes {linears.Count} linears, the rollout graph {_places.Count}; they must be the same.");
        foreach ((string name, (float[] a, float[] b)) in linears)
        {
            Place place = _places[name];
            if (a.Length != _rank * place.Columns || b.Length != _rank * place.ModuleRows)
                throw new ExportException(DiagnosticCodes.AdapterDoesNotFit, $"The adapter's {name} holds {a.Length} and {b.Length} values, which are not those of rank {_rank}.");
            if (a.AsSpan().ContainsAnyExceptInRange(float.MinValue, float.MaxValue) || b.AsSpan().ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
                throw new ExportException(DiagnosticCodes.WeightNotFinite, $"The adapter's {name} holds values that are not numbers; its training diverged. Lower the learning rate.");
        }

        foreach ((string name, (float[] a, float[] b)) in linears)
        {
            Place place = _places[name];
            for (int r = 0; r < _rank; r++)
            {
                for (int column = 0; column < place.Columns; column++)
                    place.A[(column * place.Inner) + place.FirstInner + r] = a[(r * place.Columns) + column];
                float* row = place.B + ((long)(place.FirstInner + r) * place.Rows) + place.FirstRow;
                for (int i = 0; i < place.ModuleRows; i++)
                    row[i] = (float)(b[(i * _rank) + r] * scale);
            }
        }
    }

    public void Dispose()
    {
        foreach ((_, OrtValue value) in _inputs)
            value.Dispose();
        foreach (nint block in _blocks)
            NativeMemory.AlignedFree((void*)block);
        _inputs.Clear();
        _blocks.Clear();
    }

    private float* Add(string name, int rows, int columns)
    {
        nuint bytes = (nuint)((long)rows * columns * sizeof(float));
        void* block = NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(block, bytes);
        _blocks.Add((nint)block);
        _inputs.Add((name, OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Float, [rows, columns], (nint)block, (long)bytes)));
        return (float*)block;
    }

    /// <summary>Where a module's values lie within its fused linear's A [Columns, Inner] and B [Inner, Rows].</summary>
    private sealed class Place(float* a, float* b, int columns, int moduleRows, int inner, int rows, int firstInner, int firstRow)
    {
        public float* A { get; } = a;

        public float* B { get; } = b;

        public int Columns { get; } = columns;

        public int ModuleRows { get; } = moduleRows;

        public int Inner { get; } = inner;

        public int Rows { get; } = rows;

        public int FirstInner { get; } = firstInner;

        public int FirstRow { get; } = firstRow;
    }
}
