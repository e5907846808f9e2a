using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.Collections;
using ModelSdk.Onnx.Protobuf;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Kernels;

namespace ModelSdk.Onnx.Graphs;

/// <summary>An ONNX model under construction: nodes, external initializers, inputs and outputs.</summary>
internal sealed class OnnxGraph
{
    /// <summary>Operators of ONNX Runtime beyond the standard.</summary>
    public const string Contrib = "com.microsoft";

    private const int IrVersion = 10;
    private const int Opset = 21;

    private readonly GraphProto _graph;
    private readonly HashSet<string> _initializers = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, FunctionProto> _functions = new(StringComparer.Ordinal);

    public OnnxGraph(string name) => _graph = new GraphProto { Name = name };

    /// <summary>Adds a node with one used output, named as the node is.</summary>
    public string Node(string op, string domain, string name, IEnumerable<string> inputs, params ReadOnlySpan<AttributeProto> attributes)
    {
        Node(op, domain, name, inputs, [name], attributes);
        return name;
    }

    public void Node(string op, string domain, string name, IEnumerable<string> inputs, IEnumerable<string> outputs, params ReadOnlySpan<AttributeProto> attributes)
    {
        NodeProto node = Node(op, domain, inputs, outputs, attributes);
        node.Name = name;
        _graph.Node.Add(node);
    }

    /// <summary>A node that belongs to no graph yet.</summary>
    public static NodeProto Node(string op, string domain, IEnumerable<string> inputs, IEnumerable<string> outputs, params ReadOnlySpan<AttributeProto> attributes)
    {
        var node = new NodeProto { OpType = op, Domain = domain };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        foreach (AttributeProto attribute in attributes)
            node.Attribute.Add(attribute);
        return node;
    }

    /// <summary>Adds a node that was made before.</summary>
    public void Add(NodeProto node) => _graph.Node.Add(node);

    /// <summary>The body of an operator that nodes of this graph use; the same one may be added several times.</summary>
    public void Function(FunctionProto function) => _functions[function.Name] = function;

    /// <summary>Refers to a quantized matrix: its codes and scales.</summary>
    public string[] External(MatrixTensor matrix) => [External(matrix.Data, matrix.Location), External(matrix.Scales!, matrix.Location)];

    /// <summary>Refers to a tensor in a file beside the graph; the same name may be referred to several times.</summary>
    /// <param name="tensor">Name, type, shape and place.</param>
    /// <param name="location">The file, relative to the graph's folder.</param>
    public string External(BundleTensor tensor, string location)
    {
        if (_initializers.Add(tensor.Name))
        {
            var proto = new TensorProto
            {
                Name = tensor.Name,
                DataType = (int)TypeOf(tensor.Type),
                DataLocation = TensorProto.Types.DataLocation.External,
            };
            proto.Dims.AddRange(tensor.Dims);
            proto.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = location });
            proto.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = $"{tensor.Offset}" });
            proto.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = $"{tensor.Bytes}" });
            _graph.Initializer.Add(proto);
        }

        return tensor.Name;
    }

    /// <summary>A small constant inside the graph file.</summary>
    public string Constant(string name, params ReadOnlySpan<long> values)
    {
        if (_initializers.Add(name))
        {
            var proto = new TensorProto
            {
                Name = name,
                DataType = (int)TensorProto.Types.DataType.Int64,
                RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values)),
            };
            proto.Dims.Add(values.Length);
            _graph.Initializer.Add(proto);
        }

        return name;
    }

    /// <summary>A small constant of numbers inside the graph file.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="values">Row-major.</param>
    /// <param name="dims">Its shape.</param>
    public string Constant(string name, ReadOnlySpan<float> values, params ReadOnlySpan<long> dims)
    {
        if (!_initializers.Add(name))
            return name;
        var proto = new TensorProto
        {
            Name = name,
            DataType = (int)TensorProto.Types.DataType.Float,
            RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values)),
        };
        foreach (long dim in dims)
            proto.Dims.Add(dim);
        _graph.Initializer.Add(proto);
        return name;
    }

    /// <summary>A byte inside the graph file.</summary>
    public string Byte(string name, byte value)
    {
        if (_initializers.Add(name))
            _graph.Initializer.Add(new TensorProto { Name = name, DataType = (int)TensorProto.Types.DataType.Uint8, RawData = ByteString.CopyFrom(value) });
        return name;
    }

    /// <summary>An input that need not be given: a matrix with no elements stands for it.</summary>
    public void OptionalMatrix(string name, object rows, object columns)
    {
        Input(name, TensorProto.Types.DataType.Float, rows, columns);
        var proto = new TensorProto { Name = name, DataType = (int)TensorProto.Types.DataType.Float, RawData = ByteString.Empty };
        proto.Dims.Add(rows is int r ? r : 0);
        proto.Dims.Add(columns is int c ? c : 0);
        _graph.Initializer.Add(proto);
    }

    public void Input(string name, TensorProto.Types.DataType type, params ReadOnlySpan<object> dims) => _graph.Input.Add(Value(name, type, dims));

    public void Output(string name, TensorProto.Types.DataType type, params ReadOnlySpan<object> dims) => _graph.Output.Add(Value(name, type, dims));

    /// <summary>Writes the file; the same graph gives the same bytes.</summary>
    public void Write(string path, string producerVersion)
    {
        var model = new ModelProto
        {
            IrVersion = IrVersion,
            ProducerName = "ModelSdk",
            ProducerVersion = producerVersion,
            Graph = _graph,
        };
        Import(model.OpsetImport);
        if (_functions.Count > 0)
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = AdaptedLinearOperator.DomainName, Version = 1 });
        model.Functions.AddRange(_functions.Values);
        using FileStream stream = File.Create(path);
        model.WriteTo(stream);
    }

    /// <summary>Adds the operator sets that nodes are of.</summary>
    public static void Import(RepeatedField<OperatorSetIdProto> sets)
    {
        sets.Add(new OperatorSetIdProto { Domain = "", Version = Opset });
        sets.Add(new OperatorSetIdProto { Domain = Contrib, Version = 1 });
    }

    public static AttributeProto Int(string name, long value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

    public static AttributeProto Float(string name, double value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Float, F = (float)value };

    public static AttributeProto Text(string name, string value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.String, S = ByteString.CopyFromUtf8(value) };

    private static ValueInfoProto Value(string name, TensorProto.Types.DataType type, ReadOnlySpan<object> dims)
    {
        var shape = new TensorShapeProto();
        foreach (object dim in dims)
            shape.Dim.Add(dim is string symbol ? new TensorShapeProto.Types.Dimension { DimParam = symbol } : new TensorShapeProto.Types.Dimension { DimValue = Convert.ToInt64(dim, null) });
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape } } };
    }

    private static TensorProto.Types.DataType TypeOf(string type) => type switch
    {
        "float32" => TensorProto.Types.DataType.Float,
        "uint8" => TensorProto.Types.DataType.Uint8,
        _ => throw new ArgumentException($"No tensor of type {type} is written.", nameof(type)),
    };
}
